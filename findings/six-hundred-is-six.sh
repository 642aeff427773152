#!/usr/bin/env bash
# Expected: csvstat prints the sum of 100, 200 and 300 as 600, with --decimal-format (a %-format, says its
# help) set to no decimals, too; and in a French locale the sum of 10 and 30 as 40.
# Seen: csvkit 2.2.0 (PyPI) with --decimal-format %.0f prints 6, the smallest value as 1, and the sum of 0 as
# nothing at all; in French it prints "40,". The 1,5 that it prints in French, it reads again as 15.
# Why: format_decimal in csvkit/utilities/csvstat.py formats by the locale, then strips zeros at the end, then
# a full stop. Without decimals the zeros of the integer go; with a comma the comma stays. agate 1.14.2, which
# reads for it, takes the comma for a separator of thousands unless a locale is named, whatever LC_ALL says.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
same() { # what, seen, expected
  if [ "$2" != "$3" ]; then echo "DIFFERS: $1: saw \"$2\", not \"$3\""; exit 1; fi
  echo "$1: \"$2\""
}

python3 -m pip install --quiet --no-cache-dir --root-user-action ignore --disable-pip-version-check --target "$dir/py" csvkit==2.2.0 agate==1.14.2 babel==2.19.0
if [ ! -e /usr/share/i18n/locales/fr_FR ]; then # the sources of locales, from Debian
  download() { (cd "$dir" && apt-get download -q locales > /dev/null 2>&1); }
  download || { apt-get update -q > /dev/null; download; }
  dpkg -x "$dir"/locales_*.deb "$dir/root"
  export I18NPATH="$dir/root/usr/share/i18n"
fi
mkdir "$dir/locales"
localedef -i fr_FR -f UTF-8 "$dir/locales/fr_FR.UTF-8"
export PYTHONPATH="$dir/py" LOCPATH="$dir/locales"
stat() { # locale, options
  LC_ALL=$1 python3 -m csvkit.utilities.csvstat --snifflimit 0 "${@:2}"
}
same "csvkit, agate" "$(python3 -c 'from importlib.metadata import version as v; print(v("csvkit"), v("agate"))')" "2.2.0 1.14.2"
hundreds=$'n\n100\n200\n300\n'
same "the sum of 100, 200, 300" "$(stat C.UTF-8 --sum <<< "$hundreds")" "600"
same "the same with --decimal-format %.2f" "$(stat C.UTF-8 --decimal-format %.2f --sum <<< "$hundreds")" "600"
same "the same with --decimal-format %.0f" "$(stat C.UTF-8 --decimal-format %.0f --sum <<< "$hundreds")" "6"
same "the smallest of them with %.0f" "$(stat C.UTF-8 --decimal-format %.0f --min <<< "$hundreds")" "1"
same "the sum of 5, -5 with %.0f" "$(stat C.UTF-8 --decimal-format %.0f --sum <<< $'n\n5\n-5\n')" ""
same "the sum of 10, 30 in French" "$(stat fr_FR.UTF-8 --sum <<< $'n\n10\n30\n')" "40,"
mean=$(stat fr_FR.UTF-8 --mean <<< $'n\n1\n2\n')
same "the mean of 1, 2 in French" "$mean" "1,5"
same "the sum of that alone, in French" "$(stat fr_FR.UTF-8 --sum <<< $'n\n"'"$mean"$'"\n')" "15,"
same "the same, with --locale fr" "$(stat fr_FR.UTF-8 --locale fr --sum <<< $'n\n"'"$mean"$'"\n')" "1,5"
echo "It holds: 600 is printed as 6, and 40 as 40 and a comma."
