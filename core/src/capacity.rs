//! Every size in one place, each as a sum of who holds what, checked when the crate is compiled.

use crate::config::FrameLen;

/// The most samples a codec frame holds: 60 ms at 48 kHz.
pub const FRAME_SAMPLES_MAX: usize = FrameLen::Ms60.samples() as usize;

/// The most channels a stream has.
pub const CHANNELS_MAX: usize = 2;

/// The most interleaved values a codec frame holds.
pub const FRAME_VALUES_MAX: usize = FRAME_SAMPLES_MAX * CHANNELS_MAX;

/// The longest period that a device may hand over: 20 ms, for devices that cannot do less.
pub const PERIOD_SAMPLES_MAX: usize = 960;

/// The most interleaved values in a period.
pub const PERIOD_VALUES_MAX: usize = PERIOD_SAMPLES_MAX * CHANNELS_MAX;

/// The longest Opus packet of 60 ms: three coded frames of at most 1275 bytes (RFC 6716 section 3.2.1),
/// the TOC byte, the frame count and two lengths of two bytes.
pub const PAYLOAD_MAX: usize = 3 * 1275 + 1 + 1 + 2 * 2;

/// Packets that may wait between a real-time thread and its I/O thread. At 2.5 ms frames this is 20 ms of
/// scheduling trouble, at 20 ms frames 160 ms.
pub const HANDOVER_RING: usize = 8;

/// Packets that the jitter store has room for: at 10 ms it bridges two thirds of a second.
pub const STORE_PACKETS: usize = 64;

/// Packets that the jitter store may hold where their memory is the playback pool's, which is one word of bits.
pub const POOLED_PACKETS: usize = 22;

/// Slots of the capture pool.
pub const CAPTURE_SLOTS: usize = HANDOVER_RING // waiting in the ring
    + 1 // being encoded
    + 1 // being sent to the listeners
    + 1 // the one before, for listeners who get copies
    + 2; // a listener's burst: two sends may be on their way while the ring is full

/// Slots of the playback pool.
pub const PLAYBACK_SLOTS: usize = HANDOVER_RING // waiting in the ring
    + POOLED_PACKETS // in the jitter store
    + 1 // being received
    + 1; // being decoded

/// Commands that may wait for a real-time thread.
pub const COMMAND_RING: usize = 8;

/// Commands applied in one turn of the crank; the rest wait for the next one.
pub const COMMANDS_PER_TURN: usize = 4;

/// The most sound cards that are chosen from for one direction.
pub const CANDIDATES_MAX: usize = 8;

/// Steps that a device in trouble is asked for in one turn of the crank: there are three kinds, and one more finds that
/// they are used up.
pub const STEPS_PER_TURN: usize = 4;

/// The most clients that the daemon serves at once, unless it is told otherwise.
pub const CLIENTS_MAX: usize = 64;

/// The most that it can be told to serve: with as many again that have not greeted yet, each has a descriptor.
pub const CLIENTS_LIMIT: usize = 1000;

/// The most clients that a status lists: with the longest names it still fits one message.
pub const STATUS_CLIENTS_MAX: usize = 64;

/// Users whose rate of connections is watched at the same time. When there are more, the one who has used least of its
/// allowance is forgotten.
pub const WATCHED_USERS: usize = 32;

/// The most users and groups that an allow-list may name.
pub const ALLOWED_MAX: usize = 64;

/// The most bytes of a name that a client gives itself.
pub const CLIENT_NAME_MAX: usize = 64;

/// The send buffer that is asked of the kernel for one listener. When it is full, the listener's newest
/// packets are dropped: one that stalls must not find seconds of stale sound when it comes back. Linux grants
/// twice as much and counts its own overhead, so that about 15 packets of 20 ms fit.
pub const LISTENER_QUEUE_BYTES: usize = 8 * 1024;

/// The send buffer that is asked of the kernel for any other client: room for the longest status, and no more.
pub const CONTROL_QUEUE_BYTES: usize = 64 * 1024;

/// The send buffer that is asked of the kernel for the last message to a client, be its queue as full as it may. Linux
/// takes a message whenever the buffer is not used up, so this is enough if it is more than the fullest queue and the
/// longest status with the kernel's overhead, and not more than kernels grant without being told to (160 KiB on the
/// smallest machines).
pub const LAST_WORD_QUEUE_BYTES: usize = 160 * 1024;

/// The most connections over HTTP at once; each costs some 20 KiB, and what the kernel holds for it.
pub const HTTP_CONNECTIONS_MAX: usize = 256;

/// The most of them that follow events, so that there is room for requests.
pub const HTTP_FOLLOWERS_MAX: usize = 224;

/// The send buffer that is asked of the kernel for one connection: without a bound, each may take megabytes. Linux grants
/// twice as much.
pub const HTTP_QUEUE_BYTES: usize = 64 * 1024;

/// The longest head of a request over HTTP.
pub const HTTP_HEAD_MAX: usize = 8 * 1024;

/// The most header lines in it.
pub const HTTP_HEADERS_MAX: usize = 64;

/// The longest body of a request over HTTP: a configuration with every key several times over.
pub const HTTP_BODY_MAX: usize = 16 * 1024;

/// The shortest token that is a secret: 16 letters and digits, drawn at random, are 95 bits.
pub const HTTP_TOKEN_MIN: usize = 16;

/// The latest changes, kept for who comes back after a broken line.
pub const NEWS_KEPT: usize = 256;

/// Changes that are handed to somebody in one piece.
pub const NEWS_AT_ONCE: usize = 16;

/// The send buffer that is asked of the kernel for either end of the link between the daemon and a worker. Linux grants
/// twice as much and counts its own overhead: some 60 packets of 20 ms fit, and a report of 2 KiB always does. A worker
/// whose daemon does not read for longer than that drops what it captured, counted.
pub const LINK_QUEUE_BYTES: usize = 32 * 1024;

/// The longest message on that link that is not a packet.
pub const LINK_MESSAGE_MAX: usize = 16 * 1024;

/// Messages that are read of a worker after its deadline: more than a link holds, so that whatever it said in time counts.
pub const OVERHEARD_MAX: usize = 512;

/// The most descriptors that a worker may have: its link, its runtime, and what a few sound cards need.
pub const WORKER_DESCRIPTORS: u64 = 256;

/// The most restarts of a worker that are remembered, and so the most that its budget can be.
pub const RESTARTS_MAX: usize = 16;

/// A heapless single-producer ring keeps one place empty.
#[must_use]
pub const fn ring(entries: usize) -> usize {
    entries + 1
}

/// The ring of packets, as a constant for type signatures.
pub const HANDOVER_RING_LEN: usize = ring(HANDOVER_RING);
/// The ring of commands, as a constant for type signatures.
pub const COMMAND_RING_LEN: usize = ring(COMMAND_RING);

const _: () = assert!(CAPTURE_SLOTS <= 32 && PLAYBACK_SLOTS <= 32, "a pool is one word of bits");
const _: () = assert!(POOLED_PACKETS <= STORE_PACKETS, "the store has room for what the pool lends");
const _: () = assert!(COMMAND_RING >= COMMANDS_PER_TURN, "a turn can be kept busy");
const _: () = assert!(PAYLOAD_MAX < u16::MAX as usize, "the wire carries lengths in 16 bits");
const _: () = assert!(PERIOD_SAMPLES_MAX <= FRAME_SAMPLES_MAX, "a period fits the playback buffer");
const _: () = assert!(HTTP_FOLLOWERS_MAX < HTTP_CONNECTIONS_MAX, "who follows leaves room for who asks");
const _: () = assert!(CLIENT_NAME_MAX < PAYLOAD_MAX, "a greeting fits a packet's room");
