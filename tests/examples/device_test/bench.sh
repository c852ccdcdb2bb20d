# What every script on the board begins with.

# Puts the monotonic clock, in ns, into $now, without starting a process: the kernel's list of timers says it in its
# third line.
now() {
    { read -r _; read -r _; read -r _ _ now _; } </proc/timer_list
}

# Starts the daemon, and waits until it answers.
start() {
    soundpost run "$@" >>/tmp/daemon.log 2>&1 &
    echo $! >/tmp/daemon.pid
    for _ in $(seq 250); do
        soundpost status --json >/tmp/ready.json 2>/dev/null && return
        sleep 0.02
    done
    echo "the daemon does not answer; it said:"
    cat /tmp/daemon.log
    exit 1
}

# Ends it as an init system would, or with another signal.
stop() {
    kill "${1:--TERM}" "$(cat /tmp/daemon.pid)"
    while kill -0 "$(cat /tmp/daemon.pid)" 2>/dev/null; do sleep 0.02; done
}

# Turns the clock of a cable: its number, and the length of its samples in steps of 10 millionths; 100000 is right.
turn_clock() {
    amixer -q -c Loopback cset "iface=PCM,name='PCM Rate Shift 100000',device=1,subdevice=$1" "$2"
}
