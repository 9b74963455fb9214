#!/bin/sh
# Unpack the Debian packages that the corpus is made of into ./debian (nothing is installed).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
target=$(pwd)/debian
cd "$folder"
apt-get download wordnet-base wamerican-large
for package in *.deb; do dpkg -x "$package" unpacked; done
rm -rf "$target"
mv unpacked "$target"
