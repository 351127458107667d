#!/bin/sh
# Runs in the node's image and writes /out/root.tar: the one root file system that all images of the lab's pods share.
# /in has the programs that do not come from the image: envoy, pilot-agent, istiod, coredns, envoy_bootstrap.json.
set -eu
root=/tmp/root
mkdir -p "$root/bin" "$root/tmp" "$root/run" "$root/etc/istio" "$root/usr/local/bin" "$root/var/lib/istio/envoy"
chmod 1777 "$root/tmp"

for program in /bin/busybox /usr/sbin/nft /in/envoy; do
    ldd "$program" | awk '/=> \// { print $3 } $1 ~ /^\// { print $1 }'
done | sort -u | xargs cp --dereference --parents --target-directory="$root"
cp --parents /bin/busybox /usr/sbin/nft "$root"
chroot "$root" /bin/busybox --install -s /bin
cp /in/envoy /in/pilot-agent /in/istiod /in/coredns "$root/usr/local/bin/"
chmod 755 "$root"/usr/local/bin/*
cp /in/envoy_bootstrap.json "$root/var/lib/istio/envoy/envoy_bootstrap_tmpl.json"

printf 'root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\nistio-proxy:x:1337:1337::/:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\napp:x:1000:\nistio-proxy:x:1337:\n' >"$root/etc/group"
cp -R /definition/root/. "$root/"

tar --create --file=/out/root.tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --directory="$root" .
