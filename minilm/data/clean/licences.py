"""Under which licence a file stands: SPDX tags, headers, and the texts of licence files.

A licence is named by its SPDX identifier (https://spdx.org/licenses). Detection is by phrases: it
finds what a file says, not what is lawful.
"""

import re

# Licences that ask for no more than attribution.
PERMISSIVE = frozenset(
    "MIT MIT-0 X11 ISC Apache-2.0 BSD-1-Clause BSD-2-Clause BSD-3-Clause BSD-4-Clause 0BSD Zlib "
    "Unlicense CC0-1.0 CC-BY-4.0 CC-BY-3.0 BSL-1.0 PSF-2.0 Python-2.0 HPND NCSA PostgreSQL WTFPL "
    "Artistic-2.0 BlueOak-1.0.0 UPL-1.0 Unicode-3.0 curl libpng-2.0 TCL MulanPSL-2.0".split()
)
HEADER = 4096  # characters at the start of a file in which its licence is looked for
FILE_NAME = re.compile(r"(?i)(un)?licen[sc]e([.-].*)?|copying([.-].*)?|copyright([.-].*)?")

_SPDX = re.compile(r"SPDX-License-Identifier:[ \t]*([\w.+() -]+)")
# The first that matches decides, so what contains another's phrase comes before it.
_PHRASES = tuple(
    (re.compile(pattern, re.IGNORECASE), name)
    for pattern, name in (
        # Python's licence says of itself that it is compatible with the GPL
        (r"python software foundation license|licensed to psf under a contributor", "PSF-2.0"),
        (r"gnu affero general public license", "AGPL-3.0"),
        (r"gnu (lesser|library) general public license", "LGPL"),
        (r"gnu general public license|under (the terms of )?the gpl\b", "GPL"),
        (r"mozilla public license,? (version|v\.?) ?2", "MPL-2.0"),
        (r"eclipse public license", "EPL-2.0"),
        (r"apache license,? *version 2|apache-2\.0|apache license 2\.0", "Apache-2.0"),
        (r"boost software license", "BSL-1.0"),
        (r"permission is hereby granted, free of charge", "MIT"),
        (r"permission to use, copy, modify, and(/or)? distribute this software", "ISC"),
        (r"redistributions? (of|in) source.{0,4000}?neither the name", "BSD-3-Clause"),
        (r"redistribution and use in source and binary forms", "BSD-2-Clause"),
        (r"this is free and unencumbered software released into the public domain", "Unlicense"),
        (r"this software is provided 'as-is', without any express or implied", "Zlib"),
        (r"(licensed|released|distributed) under (the terms of )?the mit licen[sc]e", "MIT"),
        (r"(licensed|released|distributed) under (the terms of )?the (new )?bsd", "BSD-3-Clause"),
        (r"creative commons.{0,80}\bzero\b|\bcc0\b", "CC0-1.0"),
        (r"proprietary and confidential|unauthori[sz]ed copying of this file", "proprietary"),
    )
)  # fmt: skip


def find_licence(text: str) -> str | None:
    """The licence that the beginning of a file names, or that a licence file is; None: none.

    Returns:
        An SPDX identifier or expression, or "proprietary".
    """
    spdx = _SPDX.search(text)
    if spdx:
        return " ".join(spdx[1].split()).strip(" -") or None
    flat = re.sub(r"[\s#*/;!]+", " ", text)  # phrases run over lines, and through comment signs
    for pattern, name in _PHRASES:
        if pattern.search(flat):
            return name
    return None


def is_permissive(licence: str) -> bool:
    """Whether an SPDX identifier or expression allows use that asks only for attribution.

    Of alternatives (OR) one has to, of licences that hold together (AND) each.
    """
    for choice in re.split(r"(?i)\s+or\s+", re.sub(r"[()]", " ", licence)):
        parts = [part.strip() for part in re.split(r"(?i)\s+and\s+", choice)]
        names = [re.split(r"(?i)\s+with\s+", part)[0].removesuffix("+") for part in parts]
        if all(name in PERMISSIVE for name in names):
            return True
    return False
