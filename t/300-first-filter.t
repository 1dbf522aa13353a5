# The commands and files of docs/first-filter.md, run as they stand there, for each language.
#
# What this changes: the first section (installing nginx) is replaced by the nginx and the module under test; the
# port is the test's own; what toolchains download and compile is kept in target/first-filter and target/filters-build.

use strict;
use warnings;

use Fcntl ':flock';
use File::Path qw(make_path remove_tree);
use File::Temp ();
use NginxConf qw(read_file wait_until);
use Test::More;

my $root = "$ENV{TEST_NGINX_SUITE}/..";
my $cache = "$root/target/first-filter";
my $port = $ENV{TEST_NGINX_SERVER_PORT};
my @languages = ('Rust', 'Go', 'AssemblyScript', 'C++');
my @common = ('Before you start', 'A folder with nginx.conf', 'Run it', 'What next');

my %sections = sections("$root/docs/first-filter.md");
is_deeply([sort keys %sections], [sort @common, @languages], 'the sections of the page');

my $home = File::Temp::tempdir('first-filter-XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $home;
# Zig compiles the C++ library anew for each place and each installation: both stay.
my $cxx = "$cache/c++";
make_path($cache);
open my $lock, '>', "$cache/lock" or die "$cache/lock: $!\n";
flock $lock, LOCK_EX or die "$cache/lock: $!\n";
put_away();
# The guests' own script finds the compilers, as in `make filters`.
my $rust = qx($root/scripts/filters --rust-environment);
is($?, 0, 'a compiler for Rust');
is(system("$root/scripts/layout", "$home/nginx", $ENV{TEST_NGINX_BINARY}, $ENV{TEST_NGINX_WASM_MODULE},
    $ENV{TEST_NGINX_FILTERS}, '/dev/null'), 0, 'nginx with the module');

# The folder whose nginx runs.
my $running;

for my $language (@languages) {
    my $work = $language eq 'C++' ? $cxx : "$home/$language";
    make_path($work);
    my $folder = "$work/hello";
    run($work, $language, @{$sections{'A folder with nginx.conf'}});
    if ($language eq 'C++' && -d "$cache/zig") {
        rename "$cache/zig", "$folder/zig" or die "$folder/zig: $!\n";
    }
    # What cargo compiles is kept for the next time.
    if ($language eq 'Rust') {
        make_path("$cache/rust");
        symlink "$cache/rust", "$folder/target" or die "$folder/target: $!\n";
    }
    $running = $folder;
    run($folder, $language, @{$sections{$language}}, @{$sections{'Run it'}}) or diag(log_of($folder));
    ok(!-e "$folder/logs/nginx.pid" || wait_until(sub { !-e "$folder/logs/nginx.pid" }), "$language: nginx has stopped");
    $running = undef;
}

done_testing();

END {
    stop($running) if $running;
    put_away() if defined $lock;
}

# Removes the folder for C++, and keeps the compiler in it.
sub put_away {
    if (-x "$cxx/hello/zig/bin/pip") {
        remove_tree("$cache/zig");
        rename "$cxx/hello/zig", "$cache/zig" or die "$cache/zig: $!\n";
    }
    remove_tree($cxx);
}

# Each section's blocks, as [kind, text, file's name or undef].
sub sections {
    my %sections;
    my ($section, $file, $kind, $text);
    for my $line (split /^/, read_file(shift)) {
        if (defined $kind) {
            if ($line =~ /^```$/) {
                push @{$sections{$section}}, [$kind, $text, $file];
                ($kind, $file) = ();
            } else {
                $text .= $line;
            }
        } elsif ($line =~ /^```(\w+)$/) {
            ($kind, $text) = ($1, '');
        } elsif ($line =~ /^## (.*)$/) {
            $section = $1;
            $sections{$section} = [];
        } elsif ($line =~ /^`([\w.\/]+)`:$/) {
            $file = $1;
        }
    }
    return %sections;
}

# Runs blocks in a folder; true if all went well.
sub run {
    my ($folder, $language, @blocks) = @_;
    while (my $block = shift @blocks) {
        my ($kind, $text, $file) = @$block;
        $text =~ s/127\.0\.0\.1:8080/127.0.0.1:$port/g;
        if (defined $file) {
            # A file of the folder that the blocks before have made.
            my $path = -d "$folder/hello" ? "$folder/hello/$file" : "$folder/$file";
            make_path($1) if $path =~ m{^(.*)/};
            open my $out, '>', $path or die "$path: $!\n";
            print $out $text;
            close $out;
            next;
        }
        my @expected = @blocks && $blocks[0][0] eq 'text' ? split /\n/, (shift @blocks)->[1] : ();
        my $output;
        my $matches = sub {
            $output = shell($folder, $language, $text);
            return $? == 0 && !grep { $output !~ /^\Q$_\E\r?$/m } @expected;
        };
        my $name = "$language: " . ($text =~ s/\n.*//sr);
        my $passed = @expected ? wait_until($matches) : $matches->();
        next if ok($passed, $name);
        diag($output);
        return 0;
    }
    return 1;
}

# The output of commands, both streams; $? is their status.
sub shell {
    my ($folder, $language, $commands) = @_;
    # Where `make filters` keeps what Zig has compiled.
    my $zig = "$root/target/filters-build/zig-cache";
    my %environment = (
        NGINX_WASM => "$home/nginx", NGINX_WASM_SOURCE => $root,
        ZIG_GLOBAL_CACHE_DIR => $zig, ZIG_LOCAL_CACHE_DIR => $zig,
        npm_config_cache => "$cache/npm", npm_config_update_notifier => 'false', npm_config_prefer_offline => 'true',
    );
    my $script = "set -e; cd '$folder'\n";
    # The flags of the module's own build are not the filter's.
    $script .= "unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_TARGET_DIR CARGO_BUILD_TARGET\n";
    $script .= "export $_='$environment{$_}'\n" for sort keys %environment;
    if ($language eq 'Rust' && $rust ne '') {
        # rustup has no such target here: Debian's compiler has.
        $script .= $rust . "rustup() { :; }\n";
    }
    # Where the machine's Go is too old, `make filters` has installed one.
    $script .= "PATH='$root/target/filters-build/go/bin':\$PATH\n"
        if $language eq 'Go' && -x "$root/target/filters-build/go/bin/go";
    my $file = "$home/script";
    open my $out, '>', $file or die "$file: $!\n";
    print $out $script . $commands;
    close $out;
    return scalar qx(bash $file 2>&1 </dev/null);
}

sub stop {
    my $pid = read_file("$_[0]/logs/nginx.pid");
    kill 'TERM', $1 if $pid =~ /^(\d+)$/m;
}

sub log_of {
    return read_file("$_[0]/logs/error.log");
}
