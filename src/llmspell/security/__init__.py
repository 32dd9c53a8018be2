"""What keeps secrets secret: keys and sealing, and the redaction of what should never be stored.

Pure parts without a store. What must stay true: no key and no plaintext stands in a representation, a log or the frames
of a traceback; heavy packages are imported when first used; nonces and keys come from the operating system, never from
injected ids, which a replay or a test repeats.
"""
