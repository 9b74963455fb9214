#!/bin/sh
# Unpacks the Debian packages of the corpus into ./debian. Installs nothing.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
target=$(pwd)/debian
cd "$folder"
apt-get download wordnet-base wamerican-large
for package in *.deb; do dpkg -x "$package" unpacked; done
rm -rf "$target"
mv unpacked "$target"
