"""The parts of a network device's command-line session, from the SSH transport up to typing one line.

`session` negotiates and logs in (old algorithms too), `tape` carries bytes and keeps the transcript, `prompts` and
`screen` read a terminal's text, `console` types a line and waits for the prompt, `words` has what netmiko knows.
"""
