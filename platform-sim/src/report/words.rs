//! What the report's words mean.

/// What each judge watches: its name, and the promise in plain words.
pub(super) const PROMISES: [(&str, &str); 7] = [
    ("ledger", "Every sample that a microphone captured and every packet is accounted for; nothing is left behind."),
    ("order", "Nothing is heard twice, and nothing in the wrong order."),
    ("latency", "Once a disturbance is over, the delay is as low as before, and nothing is made up any more."),
    ("privacy", "Nothing leaves the device that was captured while its lamp was dark."),
    ("supervisor", "A worker that dies is replaced, never twice at once, and not more often than its budget allows."),
    ("metrics", "What the player counts is what really happened."),
    ("wire", "Every packet that is sent can be read back."),
];

/// Words of the report.
pub(super) const GLOSSARY: [(&str, &str); 16] = [
    ("Allowed", "The most that the scenario's [expect] puts up with."),
    ("Blended", "Faded in or out, or one piece laid over the next, so that a joint does not click."),
    ("Cushion", "Time that packets wait on purpose before they are played, so that late ones are still in time."),
    ("Delay", "How old sound is when it is heard: from the microphone to the ear, everything included."),
    ("Clock drift", "No two sound cards run equally fast. 50 ppm (parts per million) are 180 ms in an hour."),
    ("Fault", "Something that the scenario lets go wrong, at a time that it says."),
    ("Judge", "A part of the simulator that watches one promise after every event. It knows what really happened."),
    ("Made up", "Filled in by the player where a packet was lost or late (concealment). Little of it is not noticed."),
    (
        "Marker codec",
        "It loses nothing and numbers every sample, so it is known exactly which ones were heard, and when.",
    ),
    ("Network delay", "What packets take from the sender to the receiver."),
    ("Never heard", "Captured and sent, but lost, too late, or cut out to bring the delay down again."),
    ("95 %", "So much of the sound was no older than this figure."),
    ("Restart", "The supervisor replaced the worker, the process that captures or plays on the device."),
    ("Silent", "Nothing came out: nobody was heard, or nobody had begun yet, or the microphone was muted."),
    ("Resync", "The sender began anew, and the player followed it."),
    ("Xrun", "The sound card ran dry, or over, because nobody served it in time."),
];
