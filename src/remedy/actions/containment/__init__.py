"""The parts an isolation is made of: rules, timer, boot hook, live flows, certificate. Pure: values in, values out."""
