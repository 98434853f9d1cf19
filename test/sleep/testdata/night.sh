#!/bin/sh
# night.sh LIFE UNSET SET LAST: one life of the machine, by its own clock. For
# UNSET seconds the wall clock isn't set; then it is, to the time SET. At LAST the
# machine is kept busy until its power is cut, or the daemon is stopped.
set -e
life=$1 unset=$2 set=$3 last=$4

mkdir -p /var/lib/dormouse /evidence
mount -t ext4 -o commit=300 /dev/pmem0 /var/lib/dormouse
mount -t ext4 -o sync /dev/pmem1 /evidence

note() {
	read -r up _ </proc/uptime
	echo "machine $1 $(date +%s) $up $$" >>/evidence/runs
}

# What the kernel does twice a second is most of what an idle hour costs.
echo 0 >/proc/sys/vm/compaction_proactiveness
echo 600 >/proc/sys/vm/stat_interval

note boots
dormouse start --config.file=/etc/night.yml --log.output=/evidence/log --pid-file=/run/dormouse.pid --web.listen-address=127.0.0.1:9367
sleep "$unset"
date -s "@$set"
note set
sleep $((last - $(date +%s)))
wget -q -O "/evidence/page$life" http://127.0.0.1:9367/metrics
cp /var/lib/dormouse/tasks.json "/evidence/tasks$life"
note last
if [ "$life" = 1 ]; then
	# An idle machine's time passes at once.
	while :; do :; done >/dev/null 2>&1 &
	exit
fi
read -r pid </run/dormouse.pid
kill -TERM "$pid"
while kill -0 "$pid"; do
	sleep 5
done 2>/dev/null
note stopped
