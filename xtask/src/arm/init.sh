#!/bin/busybox sh
# The first process of the emulated board. Loads the drivers, then does what it is told through a virtio port, one
# order after the other:
#
#   run N       N bytes of shell script follow; the answer is "STATUS SIZE" and SIZE bytes of what it printed
#   put N PATH  N bytes of a file follow; the answer is "0 0"
#
# Nothing is sent here before the answer to the order before, so reading too far is not possible.

/bin/busybox --install -s /bin
export PATH=/bin LD_LIBRARY_PATH=/lib HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
while read -r module; do
    insmod "/modules/$module.ko" || echo "cannot load $module" >/dev/console
done </modules/order
ln -s /proc/self/fd /dev/fd

for port in /sys/class/virtio-ports/*; do
    exec 3<>"/dev/${port##*/}"
done
echo ready >&3
while read -r verb size path <&3; do
    status=0
    case "$verb" in
        run)
            head -c "$size" <&3 >/tmp/.script
            sh /tmp/.script >/tmp/.printed 2>&1 </dev/null 3>&-
            status=$?
            ;;
        put)
            head -c "$size" <&3 >"$path"
            : >/tmp/.printed
            ;;
    esac
    echo "$status $(stat -c %s /tmp/.printed)" >&3
    cat /tmp/.printed >&3
done
poweroff -f
