# Sourced by nginx's auto/make: the rules for what only cargo can build.

. $ngx_addon_dir/auto/make
