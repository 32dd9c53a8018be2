"""What the rooms import costs nothing until it is used."""

import json
import subprocess
import sys

MODULES = ("export", "keyring", "keys", "marks", "sealing", "sources", "user_key")


def test_importing_security_loads_no_cryptography_and_no_platform_folders():
    code = (
        "import json, sys\nbefore = set(sys.modules)\n"
        + "".join(f"import llmspell.security.{name}\n" for name in MODULES)
        + "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not {"cryptography", "platformdirs", "asyncio"} & set(json.loads(ran.stdout))
