"""The synchronous face, generated from the asynchronous one."""
