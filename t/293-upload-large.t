# Large request bodies that stream: in constant memory, without temporary files, and no faster than the upstream
# or a filter takes them.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Pause;
use Upload;
use Digest::MD5;

log_level('warn');
no_long_string();
no_root_location();

our $bad = qr/\[(?:error|alert|crit|emerg)\]|panicked/;
our $modules = module_lines('a', 'b') . <<'_EOC_';
wasm_module noop $TEST_NGINX_FILTERS/bench_noop.wasm;
wasm_module upper $TEST_NGINX_FILTERS/body_stream.wasm;
wasm_module cpp $TEST_NGINX_FILTERS/trace_cpp.wasm;
upstream up { server 127.0.0.1:$TEST_NGINX_PORT_9; }
proxy_http_version 1.1;
proxy_request_buffering off;
_EOC_

our $block = CORE::join '', map { sprintf "%07x-line of text\n", $_ } 1 .. 2700;

# The worker's memory in KiB; the tests run without a master process.
sub memory {
    my $field = shift;
    open my $status, '<', '/proc/' . Wire::nginx_pid() . '/status' or die "status: $!\n";
    return (CORE::join('', <$status>) =~ /^$field:\s+(\d+) kB/m)[0];
}

# Bytes in temporary files of the request that nginx is at: they have no name any more.
sub temporary {
    my @files = grep { (readlink // '') =~ m{^/(?!memfd:|dev/).* \(deleted\)\z} } glob '/proc/' . Wire::nginx_pid() . '/fd/*';
    my $size = 0;
    for (@files) { $size += -s $_ // 0 }
    return $size;
}

# An upstream that answers with the MD5 sum of what it has read; it starts to read the body when `when` says so.
sub digesting {
    my $when = shift;
    return sub {
        my $connection = shift;
        my $head = $connection->until(qr/\r\n\r\n/);
        $when->() if $when;
        my $digest = Digest::MD5->new;
        my $chunked = $head =~ /^transfer-encoding: *chunked/mi;
        my ($left) = $head =~ /^content-length: *(\d+)/mi;
        while (1) {
            ($left) = map { hex } $connection->until(qr/\r\n/) =~ /(\S+)/ if $chunked;
            last if !$left;
            while ($left > 0) {
                my $bytes = $connection->take($left < 65536 ? $left : 65536);
                return if $bytes eq '';
                $digest->add($bytes);
                $left -= length $bytes;
            }
            last if !$chunked;
            $connection->take(2);
        }
        my $text = $digest->hexdigest;
        $connection->write("HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n$text");
    };
}

sub sum {
    my ($blocks, $text) = @_;
    my $digest = Digest::MD5->new;
    $digest->add($text) for 1 .. $blocks;
    return $digest->hexdigest;
}

# Sends so many blocks; the answer, and the most that temporary files held meanwhile.
sub upload {
    my ($path, $blocks) = @_;
    my $c = connection();
    $c->write(post_head($path, $blocks * length $block));
    my $most = 0;
    for (1 .. $blocks) {
        $c->write($block) or last;
        if ($_ % 64 == 0) {
            my $now = temporary();
            $most = $now if $now > $most;
        }
    }
    return ($c->answer, $most);
}

run_tests();

__DATA__

=== TEST 1: 256 MiB through filters that pass them on: no more than 2 MiB more memory, no temporary file
--- http_config eval: $::modules
--- config
location /plain { client_max_body_size 0; proxy_pass http://up; }
location /noop { wasm_filter noop; client_max_body_size 0; proxy_pass http://up; }
location /two { wasm_filter noop; wasm_filter cpp; client_max_body_size 0; proxy_pass http://up; }
--- upstream eval: main::digesting()
--- client eval
sub {
    my $blocks = 256 * 1024 * 1024 / length $main::block;
    my $sum = main::sum(int $blocks, $main::block);
    my @got;
    # What is made once is there.
    main::upload($_, 8) for '/plain', '/noop', '/two';
    my $before;
    for my $path ('/plain', '/noop', '/two') {
        my ($answer, $file) = main::upload($path, int $blocks);
        my $peak = main::memory('VmHWM');
        my $more = $peak - ($before //= $peak);
        push @got, "$path " . ($answer eq "200 $sum" ? 'whole' : $answer) . ($more < 2048 ? '' : ", $more KiB more") . ", files $file";
    }
    rows(@got);
}
--- client_out
/plain whole, files 0
/noop whole, files 0
/two whole, files 0
--- no_error_log eval: $::bad



=== TEST 2: 100 MiB are changed while the upstream does not read: they stay with the client
--- http_config eval: $::modules
--- config
location / { wasm_filter upper '{"direction":"request"}'; wasm_filter b '{}'; client_max_body_size 0; proxy_pass http://up; }
location /ready { return 200; }
--- upstream eval: main::digesting(sub { until (-e $Upload::file) { select undef, undef, undef, 0.05 } })
--- client eval
sub {
    my $blocks = int(100 * 1024 * 1024 / length $main::block);
    my $c = connection();
    my $before = main::memory('VmRSS');
    $c->write(post_head('/', $blocks * length $main::block));
    # As much as goes, until nothing more goes for a while.
    my $socket = $c->{socket};
    $socket->blocking(0);
    my ($sent, $all) = (0, $blocks * length $main::block);
    my $text = $main::block x 4;
    my $bytes = sub { my $at = $sent % length $main::block; substr $text, $at, length $main::block };
    my $idle = 0;
    while ($sent < $all && $idle < 10) {
        my $n = syswrite $socket, $bytes->();
        if ($n) { $sent += $n; $idle = 0 } else { $idle++; select undef, undef, undef, 0.05 }
    }
    my $held = main::memory('VmRSS') - $before;
    my @got = ($sent < $all / 2 ? 'stands still' : "went on to $sent");
    push @got, $held < 4096 ? 'flat' : "$held KiB held", 'files ' . main::temporary();
    open my $file, '>', $Upload::file; CORE::close $file;
    $socket->blocking(1);
    while ($sent < $all) {
        my $part = $bytes->();
        $part = substr $part, 0, $all - $sent if length $part > $all - $sent;
        $c->write($part) or last;
        $sent += length $part;
    }
    my $sum = main::sum($blocks, uc $main::block);
    $held = main::memory('VmRSS') - $before;
    rows(@got, $c->answer eq "200 $sum" ? 'whole' : 'broken', $held < 4096 ? 'flat' : "$held KiB held");
}
--- client_out
stands still
flat
files 0
whole
flat
--- no_error_log eval: $::bad



=== TEST 3: a filter pauses 100 MiB in the headers; a filter makes a body many times as long
--- http_config eval: $::modules
--- config eval
go_locations(['a']) . q~
location /paused { wasm_filter upper '{"direction":"request"}'; wasm_filter a '{"request_headers":[["log","warn","paused"],["action","pause"]]}'; client_max_body_size 0; proxy_pass http://up; }
location /longer { wasm_filter b '{"request_headers":[["remove_header","request","content-length"]],"request_body":[["repeat_body","request","0123456789abcdef",65536]]}'; client_max_body_size 0; proxy_pass http://up; }~
--- upstream eval: main::digesting()
--- client eval
sub {
    my $c = connection();
    my $before = main::memory('VmRSS');
    my $blocks = 500;
    $c->write(post_head('/paused', $blocks * length $main::block));
    $c->{socket}->blocking(0);
    my ($sent, $idle) = (0, 0);
    my $all = $main::block x $blocks;
    until_logged('a: paused');
    while ($idle < 10) {
        my $n = syswrite $c->{socket}, $all, 65536, $sent;
        if ($n) { $sent += $n; $idle = 0 } else { $idle++; select undef, undef, undef, 0.03 }
    }
    my $held = main::memory('VmRSS') - $before;
    my @got = ($sent < length $all ? 'stands still' : 'went on', $held < 4096 ? 'flat' : "$held KiB held", 'files ' . main::temporary());
    $c->{socket}->blocking(1);
    go('a');
    $c->write(substr $all, $sent);
    push @got, $c->answer eq '200 ' . Digest::MD5::md5_hex(uc $all) ? 'whole' : 'broken';
    # 100 pieces at the least, 1 MiB of each.
    $c = connection();
    $c->write(post_head('/longer', 1000));
    for (1 .. 20) {
        $c->write('x' x 50);
        select undef, undef, undef, 0.01;
    }
    push @got, $c->answer =~ /^200 \w{32}\z/ ? 'whole' : 'broken';
    $held = main::memory('VmHWM') - $before;
    rows(@got, $held < 16384 ? 'bounded' : "$held KiB");
}
--- client_out
stands still
flat
files 0
whole
whole
bounded
--- no_error_log eval: $::bad



=== TEST 4: a filter holds 6 MiB in a temporary file, and lets them go
--- http_config eval: $::modules
--- config
location /on { sendfile on; wasm_filter a '{"request_body":[["action","pause"],["if_end_of_stream",[["action","continue"]]]]}'; client_max_body_size 0; proxy_pass http://up; }
location /off { wasm_filter a '{"request_body":[["action","pause"],["if_end_of_stream",[["action","continue"]]]]}'; client_max_body_size 0; proxy_pass http://up; }
location /small { wasm_buffer_size 1m; wasm_filter a '{"request_body":[["action","pause"]]}'; client_max_body_size 0; proxy_pass http://up; }
--- upstream eval: main::digesting()
--- client eval
sub {
    my $blocks = 100;
    my $sum = main::sum($blocks, $main::block);
    my @got;
    for my $path ('/on', '/off', '/small') {
        my $before = main::memory('VmRSS');
        my ($answer, $file) = main::upload($path, $blocks);
        my $more = main::memory('VmRSS') - $before;
        push @got, "$path " . ($answer eq "200 $sum" ? 'whole' : $answer =~ /^(\d+)/ ? $1 : $answer) . ($more < 4096 ? '' : ", $more KiB more");
    }
    rows(@got);
}
--- client_out
/on whole
/off whole
/small 413
--- error_log: holds back
--- no_error_log eval: qr/\[(?:alert|crit|emerg)\]|panicked/
