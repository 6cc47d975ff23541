"""What H3C's Comware V7 devices have in common, a subject a module; `comware` and `secpath` put them together.

Followed: H3C "Fundamentals Configuration Guide" (CLI, configuration file management), "ACL and QoS Command Reference"
(ACL commands), "Security Command Reference" (object group, security policy, security zone, attack detection and
prevention commands), "Layer 2 LAN Switching Command Reference" (VLAN, MAC address table), all Comware V7, as published
at h3c.com. Where a reference says that a line "fails and the system displays an error" without the words, the words
here are plain English of the same meaning and not a quotation: `messages` holds them.
"""
