#!/bin/sh
# One line for each call: who answers, from where it was called, and what the proxy says of the caller.
printf 'Content-Type: text/plain\r\n\r\n'
printf 'host=%s version=%s peer=%s xfcc=%s\n' "$(hostname)" "${VERSION:-none}" "$REMOTE_ADDR" "${HTTP_X_FORWARDED_CLIENT_CERT:-none}"
