"""Audits a Tollgate ledger with PyPI's aics-tlog: the checkpoint's signature, every tile and every entry.

Usage: audit.py DIR KEY
"""

import sys

from aics_tlog import parse_note, parse_vkey, verify_checkpoint
from aics_tlog.tiles import FileSystemTileReader
from aics_tlog.verified import audit_tiles

folder, key = sys.argv[1:3]
with open(f"{folder}/checkpoint", encoding="utf-8") as file:
    signed = verify_checkpoint(parse_note(file.read()), parse_vkey(key))
if not signed.ok:
    sys.exit(f"the checkpoint does not verify: {signed}")
# It raises at the first tile or bundle that is not what the root says.
found = audit_tiles(FileSystemTileReader(folder), signed.size, signed.root)
print(f"verified {signed.size} entries, {found.tiles} tiles, {found.bundles} bundles")
