#!/usr/bin/env python3
"""Talks to a soundpost daemon: sends silence, or Opus packets from a file, one each time it is due.

A file has the packets one after the other, each behind its length in two bytes (little-endian). Needs Python 3.3 or
later on Linux and nothing else. The protocol is described in docs/protocol.md.
"""

import argparse
import os
import select
import socket
import struct
import sys
import time

# magic, version, kind, length, zero, sequence, flags, media, captured
HEADER = struct.Struct("<2sBBHHIIQQ")
# what, zero, fresh, total
NOTICE = struct.Struct("<HHIQ")

MAGIC, VERSION = b"SP", 1
KIND_HELLO, KIND_WELCOME, KIND_ERROR, KIND_PACKET, KIND_BYE, KIND_NOTICE = 1, 2, 3, 4, 7, 11
ROLE_TALKER, TAKEOVER, ADDITION_NOTICES = 2, 1, 2
MESSAGE_MAX = HEADER.size + 65535
# 20 ms of silence, mono.
SILENCE = b"\xf8\xff\xfe"


class Refused(Exception):
    """The daemon said why it closes the connection."""


def default_path():
    runtime_dir = os.environ.get("XDG_RUNTIME_DIR")
    return runtime_dir + "/soundpost.sock" if runtime_dir else "/run/soundpost/soundpost.sock"


def samples_of(opus):
    """How many samples at 48 kHz an Opus packet holds (RFC 6716 section 3.1)."""
    config, count = opus[0] >> 3, opus[0] & 3
    if config < 12:
        frame = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:
        frame = (480, 960)[config & 1]
    else:
        frame = (120, 240, 480, 960)[config & 3]
    frames = (1, 2, 2)[count] if count < 3 else opus[1] & 63
    return frame * frames


def send(connection, kind, payload=b"", sequence=0, media=0):
    """Sends a message without waiting; whether there was room."""
    header = HEADER.pack(MAGIC, VERSION, kind, len(payload), 0, sequence, 0, media, 0)
    try:
        connection.send(header + payload, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except (BrokenPipeError, ConnectionResetError):
        # Why it is closed is in what the daemon said last.
        while receive(connection) is not None:
            pass
        raise
    return True


def receive(connection):
    """Returns one message as (kind, payload); None at the end."""
    try:
        message = connection.recv(MESSAGE_MAX)
    except ConnectionResetError:
        message = connection.recv(MESSAGE_MAX)
    if not message:
        return None
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


def hear(connection, until):
    """Takes what the daemon says until it is time; false when it leaves."""
    while True:
        left = max(0, until - time.monotonic())
        if not select.select([connection], [], [], left)[0]:
            return True
        message = receive(connection)
        if message is None or message[0] == KIND_BYE:
            return False
        if message[0] == KIND_NOTICE:
            what, _, fresh, total = NOTICE.unpack(message[1])
            if what == 1:
                print("dropped fresh=%d total=%d" % (fresh, total), flush=True)


def packets_of(path):
    """The packets of a file."""
    with open(path, "rb") as file:
        while True:
            length = file.read(2)
            if len(length) < 2:
                return
            yield file.read(struct.unpack("<H", length)[0])


def talk(connection, name, takeover, packets):
    send(connection, KIND_HELLO, struct.pack("<BBBB", ROLE_TALKER, takeover, ADDITION_NOTICES, 0) + name.encode())
    message = receive(connection)
    if message is None or message[0] != KIND_WELCOME:
        raise ValueError("no Welcome")
    sequence, media, begin = 0, 0, time.monotonic()
    for opus in packets:
        if not hear(connection, begin + media / 48000):
            print("bye", flush=True)
            return
        # Stream time goes on whether there was room or not: what was not sent is a hole.
        if send(connection, KIND_PACKET, opus, sequence, media):
            print("sent sequence=%d media=%d bytes=%d" % (sequence, media, len(opus)), flush=True)
        sequence = (sequence + 1) & 0xFFFFFFFF
        media += samples_of(opus)
    send(connection, KIND_BYE)


def main():
    parser = argparse.ArgumentParser(description="Sends silence, or a file of Opus packets, to a soundpost daemon.")
    parser.add_argument("--socket", default=default_path(), metavar="PATH", help="the daemon's socket [%(default)s]")
    parser.add_argument("--count", type=int, default=50, metavar="N", help="packets of silence [%(default)s]")
    parser.add_argument("--packets", metavar="FILE", help="a file of packets instead of silence")
    parser.add_argument("--takeover", action="store_true", help="replace the one who is talking")
    parser.add_argument("--name", default="talk.py", help="what to call oneself, at most 64 bytes [%(default)s]")
    options = parser.parse_args()
    packets = packets_of(options.packets) if options.packets else (SILENCE for _ in range(options.count))
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(options.socket)
            talk(connection, options.name, int(options.takeover), packets)
    except KeyboardInterrupt:
        pass
    except (OSError, ValueError, Refused) as error:
        print("talk.py: %s" % error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
