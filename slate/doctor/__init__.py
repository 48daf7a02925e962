"""What this machine, installation and store need for Slate to work, looked at one by one."""
