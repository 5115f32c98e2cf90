# SPDX-License-Identifier: Apache-2.0
"""Addresses and names of the demo."""

HOST = "192.0.2.10"        # the watched server
GATEWAY = "192.0.2.1"
RESOLVER = "192.0.2.53"
BACKUP = "198.51.100.22"   # takes SSH
TELEGRAM = "149.154.167.220"
MTPROTO = "149.154.167.51"
GITHUB = "140.82.121.4"
MIRROR = "198.51.100.80"

ADDRESSES = {
    "www.google.com": "142.250.180.4",
    "github.com": GITHUB,
    "deb.example": MIRROR,
    "backup.example": BACKUP,
    "api.telegram.org": TELEGRAM,
}
HTTPS_NAMES = ("github.com", "deb.example")
OUTSIDE = (RESOLVER, BACKUP, TELEGRAM, MTPROTO, GITHUB, MIRROR)
