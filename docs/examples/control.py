#!/usr/bin/env python3
"""Asks a soundpost daemon for its status, and mutes it.

Needs Python 3.3 or later on Linux and nothing else. The protocol is described in docs/protocol.md.
"""

import argparse
import os
import socket
import struct
import sys

# magic, version, kind, length, zero, sequence, flags, media, captured
HEADER = struct.Struct("<2sBBHHIIQQ")
# tag, verb or outcome, zero
LEAD = struct.Struct("<IHH")

MAGIC, VERSION = b"SP", 1
KIND_HELLO, KIND_WELCOME, KIND_ERROR, KIND_BYE, KIND_COMMAND, KIND_ANSWER = 1, 2, 3, 7, 9, 10
ROLE_CONTROLLER = 4
VERB_VERBS, VERB_STATUS, VERB_MUTE = 0, 1, 2
MESSAGE_MAX = HEADER.size + 65535


class Refused(Exception):
    """The daemon said why it does not do it, or why it closes the connection."""


def default_path():
    runtime_dir = os.environ.get("XDG_RUNTIME_DIR")
    return runtime_dir + "/soundpost.sock" if runtime_dir else "/run/soundpost/soundpost.sock"


def send(connection, kind, payload=b""):
    try:
        connection.send(HEADER.pack(MAGIC, VERSION, kind, len(payload), 0, 0, 0, 0, 0) + payload)
    except (BrokenPipeError, ConnectionResetError):
        # Why it is closed is in what the daemon said last.
        pass


def receive(connection):
    """Returns one message as (kind, payload)."""
    try:
        message = connection.recv(MESSAGE_MAX)
    except ConnectionResetError:
        # What the daemon said last is still there.
        message = connection.recv(MESSAGE_MAX)
    if not message:
        raise ValueError("the daemon vanished")
    magic, version, kind, length = HEADER.unpack_from(message)[:4]
    if (magic, version) != (MAGIC, VERSION):
        raise ValueError("not version %d of the protocol" % VERSION)
    payload = message[HEADER.size:]
    if len(payload) != length:
        raise ValueError("the header says %d bytes, %d came" % (length, len(payload)))
    if kind == KIND_ERROR:
        (code,) = struct.unpack_from("<H", payload)
        raise Refused("error %d: %s" % (code, payload[2:].decode("utf-8", "replace")))
    return kind, payload


def command(connection, tag, verb, arguments=b""):
    """Asks for something and returns the JSON of the answer."""
    send(connection, KIND_COMMAND, LEAD.pack(tag, verb, 0) + arguments)
    while True:
        kind, payload = receive(connection)
        if kind == KIND_BYE:
            raise ValueError("the daemon stops")
        # Kinds that are not known here are passed over.
        if kind == KIND_ANSWER and LEAD.unpack_from(payload)[0] == tag:
            outcome, text = LEAD.unpack_from(payload)[1], payload[LEAD.size:].decode()
            if outcome != 0:
                raise Refused("outcome %d: %s" % (outcome, text))
            return text


def main():
    parser = argparse.ArgumentParser(description="Asks a soundpost daemon for its status, and mutes it.")
    parser.add_argument("--socket", default=default_path(), metavar="PATH", help="the daemon's socket [%(default)s]")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    verbs.add_parser("status", help="how it is doing")
    verbs.add_parser("verbs", help="what it can be asked for")
    mute = verbs.add_parser("mute", help="silence its microphone or speaker")
    mute.add_argument("direction", choices=["capture", "playback"])
    mute.add_argument("switch", choices=["on", "off"])
    other = verbs.add_parser("verb", help="ask for anything by its number")
    other.add_argument("number", type=int)
    options = parser.parse_args()
    if options.verb == "mute":
        arguments = bytes([1 if options.direction == "capture" else 2, 1 if options.switch == "on" else 0])
        verb = VERB_MUTE
    elif options.verb == "verb":
        verb, arguments = options.number, b""
    else:
        verb, arguments = VERB_VERBS if options.verb == "verbs" else VERB_STATUS, b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(options.socket)
            send(connection, KIND_HELLO, struct.pack("<BBBB", ROLE_CONTROLLER, 0, 0, 0) + b"control.py")
            if receive(connection)[0] != KIND_WELCOME:
                raise ValueError("no Welcome")
            print(command(connection, 1, verb, arguments), flush=True)
            send(connection, KIND_BYE)
    except KeyboardInterrupt:
        pass
    except (OSError, ValueError, Refused) as error:
        print("control.py: %s" % error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
