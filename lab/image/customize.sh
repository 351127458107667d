#!/bin/sh
# Runs once at the end of the image's build; $1 is the new root directory. Everything here is the same for every host:
# what differs (name, keys, addresses, which workload runs) is laid down when a host is created.
set -eu
root=$1
here=$(dirname "$0")

cp -R --preserve=mode "$here/root/." "$root/"
chroot "$root" useradd --system --no-create-home --shell /usr/sbin/nologin shop

# The database, seeded once here, so that every lab starts from the same rows.
chroot "$root" install --directory --owner=postgres --group=postgres --mode=2775 /run/postgresql
cp "$here/shop.conf" "$root/etc/postgresql/15/main/conf.d/"
cat "$here/pg_hba.conf" >>"$root/etc/postgresql/15/main/pg_hba.conf"
chroot "$root" pg_ctlcluster 15 main start
chroot "$root" runuser -u postgres -- psql --quiet --set=ON_ERROR_STOP=1 <"$here/shop.sql"
chroot "$root" pg_ctlcluster 15 main stop

# A host runs the workload it is told to, and no jobs of its own that would stir under a test.
chroot "$root" systemctl --quiet disable nginx.service postgresql.service dnsmasq.service
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    e2scrub_all.timer e2scrub_reap.service fstrim.timer

# Each host makes its own identity at its first boot.
rm -f "$root"/etc/ssh/ssh_host_*_key*
: >"$root/etc/machine-id"
rm -f "$root/etc/hostname" "$root/etc/resolv.conf"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
