"""The inventory: Ansible files to targets."""
