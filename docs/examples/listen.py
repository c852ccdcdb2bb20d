#!/usr/bin/env python3
"""Listens to a soundpost daemon and prints one line for each packet.

Needs Python 3.3 or later on Linux and nothing else. The protocol is described in docs/protocol.md.
"""

import argparse
import os
import socket
import struct
import sys
import time

# magic, version, kind, length, zero, sequence, flags, media, captured
HEADER = struct.Struct("<2sBBHHIIQQ")
# role, flags, zero
HELLO = struct.Struct("<BBH")
# client, channels, zero, frame samples, bitrate, zero
WELCOME = struct.Struct("<IBBHII")

MAGIC, VERSION = b"SP", 1
KIND_HELLO, KIND_WELCOME, KIND_ERROR, KIND_PACKET, KIND_BYE = 1, 2, 3, 4, 7
ROLE_LISTENER = 1
MESSAGE_MAX = HEADER.size + 65535


class Refused(Exception):
    """The daemon said why it closes the connection."""


def default_path():
    runtime_dir = os.environ.get("XDG_RUNTIME_DIR")
    return runtime_dir + "/soundpost.sock" if runtime_dir else "/run/soundpost/soundpost.sock"


def send(connection, kind, payload=b""):
    header = HEADER.pack(MAGIC, VERSION, kind, len(payload), 0, 0, 0, 0, 0)
    try:
        connection.send(header + payload)
    except (BrokenPipeError, ConnectionResetError):
        # Why it is closed is in what the daemon said last.
        pass


def receive(connection):
    """Returns one message as (kind, sequence, flags, media, captured, payload); None at the end."""
    try:
        message = connection.recv(MESSAGE_MAX)
    except ConnectionResetError:
        message = connection.recv(MESSAGE_MAX)
    if not message:
        return None
    if len(message) < HEADER.size:
        raise ValueError("a message of %d bytes has no header" % len(message))
    magic, version, kind, length, _, sequence, flags, media, captured = HEADER.unpack_from(message)
    if (magic, version) != (MAGIC, VERSION):
        raise ValueError("not version %d of the protocol" % VERSION)
    payload = message[HEADER.size:]
    if len(payload) != length:
        raise ValueError("the header says %d bytes, %d came" % (length, len(payload)))
    if kind == KIND_ERROR:
        (code,) = struct.unpack_from("<H", payload)
        raise Refused("error %d: %s" % (code, payload[2:].decode("utf-8", "replace")))
    return kind, sequence, flags, media, captured, payload


def listen(connection, name, count):
    """Prints packets until `count` came or the daemon ends the conversation."""
    send(connection, KIND_HELLO, HELLO.pack(ROLE_LISTENER, 0, 0) + name.encode())
    message = receive(connection)
    if message is None or message[0] != KIND_WELCOME:
        raise ValueError("no Welcome")
    client, channels, _, frame, bitrate, _ = WELCOME.unpack(message[-1])
    print("welcome client=%d channels=%d frame=%d bitrate=%d" % (client, channels, frame, bitrate), flush=True)
    packets, expected = 0, None
    while count is None or packets < count:
        message = receive(connection)
        if message is None:
            raise ValueError("the daemon vanished")
        kind, sequence, flags, media, captured, payload = message
        if kind == KIND_BYE:
            print("bye", flush=True)
            return
        if kind != KIND_PACKET:
            continue
        # The difference of two sequence numbers is taken modulo 2 to the power of 32.
        lost = 0 if expected is None else (sequence - expected) & 0xFFFFFFFF
        expected = sequence + 1
        age_ms = time.clock_gettime(time.CLOCK_MONOTONIC) * 1e3 - captured / 1e3
        print(
            "packet sequence=%d media=%d age_ms=%.1f bytes=%d flags=%d lost=%d"
            % (sequence, media, age_ms, len(payload), flags, lost),
            flush=True,
        )
        packets += 1
    send(connection, KIND_BYE)


def main():
    parser = argparse.ArgumentParser(description="Prints one line for each packet that a soundpost daemon captures.")
    parser.add_argument("--socket", default=default_path(), metavar="PATH", help="the daemon's socket [%(default)s]")
    parser.add_argument("--count", type=int, metavar="N", help="stop after N packets [until interrupted]")
    parser.add_argument("--name", default="listen.py", help="what to call oneself, at most 64 bytes [%(default)s]")
    options = parser.parse_args()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(options.socket)
            listen(connection, options.name, options.count)
    except KeyboardInterrupt:
        pass
    except (OSError, ValueError, Refused) as error:
        print("listen.py: %s" % error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
