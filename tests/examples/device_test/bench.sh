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

# Puts the numbers of the daemon's processes into $house: its own and its workers'.
house() {
    workers=$(soundpost status --json | grep -o '"worker":{[^}]*"pid":[0-9]*' | sed 's/.*://')
    house="$(cat /tmp/daemon.pid) $workers"
    set -- $house
    [ $# = 3 ] && return
    echo "not three processes: $house"
    exit 1
}

# Writes a status of the daemon into a file as soon as a worker has reported anew: a report can be a tenth of a second old.
fresh() {
    old=
    while true; do
        soundpost status --json >"$1"
        new=$(grep -o '"stream_samples":[0-9]*' "$1")
        [ -n "$old" ] && [ "$new" != "$old" ] && return
        old=$new
    done
}
