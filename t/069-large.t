# Bodies of 64 MiB through filters that do nothing and through one that rewrites them: whole, and
# in bounded memory.

use Test::Nginx::Socket 'no_plan';
use Wire;
use Filtered;
use Digest::MD5;
use Socket qw(SOL_SOCKET SO_RCVBUF);

# What the worker may have more of at its peak, in KiB.
our $bound = 32 * 1024;

our $block = do { my $n = 0; CORE::join '', map { sprintf "%07x-line of text\n", $_ * 7919 & 0xfffffff } 1 .. 2730 };
$block .= 'x' x (65536 - length $block);
our $blocks = 1024;

sub digest_of {
    my $block = shift;
    my $digest = Digest::MD5->new;
    $digest->add($block) for 1 .. $blocks;
    return $digest->hexdigest;
}

our $plain = digest_of($block);
our $upper = digest_of(uc $block);

# Its name when it is one of the two.
sub name_of {
    my ($digest, $length) = @_;
    return ($digest eq $plain ? 'plain' : $digest eq $upper ? 'upper' : 'wrong') . " $length";
}

# The field of /proc/PID/status, in KiB; the tests run without a master process.
sub memory {
    my $field = shift;
    wait_for(sub { -s $Test::Nginx::Util::PidFile });
    open my $file, '<', $Test::Nginx::Util::PidFile or die "no nginx: $!";
    my $worker = <$file> + 0;
    open my $status, '<', "/proc/$worker/status" or die "no worker: $!";
    my ($kib) = CORE::join('', <$status>) =~ /^$field:\s*(\d+) kB/m;
    return $kib;
}

# Runs this, and adds how the worker's peak compares with what it had before.
sub bounded {
    my $code = shift;
    my $before = memory('VmRSS');
    my $got = $code->();
    my $growth = memory('VmHWM') - $before;
    return $got . ($growth < $bound ? ', bounded' : ", grew by $growth KiB");
}

# Reads a body as the head frames it: (digest, length).
sub body_of {
    my ($connection, $head) = @_;
    my ($digest, $length) = (Digest::MD5->new, 0);
    my $read = sub {
        my $left = shift;
        while ($left > 0) {
            my $bytes = $connection->take($left < 65536 ? $left : 65536);
            return 0 if $bytes eq '';
            $digest->add($bytes);
            $length += length $bytes;
            $left -= length $bytes;
        }
        return 1;
    };
    if ($head =~ /^transfer-encoding: *chunked/mi) {
        while ($connection->until(qr/\r\n/) =~ /^([0-9a-f]+)/i) {
            last if !hex $1;
            $read->(hex $1) or last;
            $connection->take(2);
        }
    } else {
        $read->($head =~ /^content-length: *(\d+)/mi ? $1 : 9 ** 15);
    }
    return ($digest->hexdigest, $length);
}

sub get {
    my ($target, $before_reading) = @_;
    my $connection = connection();
    setsockopt $connection->{socket}, SOL_SOCKET, SO_RCVBUF, 65536 if $before_reading;
    $connection->write("GET $target HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    my $head = $connection->until(qr/\r\n\r\n/);
    $before_reading->() if $before_reading;
    return name_of(body_of($connection, $head));
}

# GET: 64 MiB; POST: what came in.
our $upstream = sub {
    my $connection = shift;
    my $head = $connection->until(qr/\r\n\r\n/);
    if ($head =~ /^GET/) {
        $connection->write("HTTP/1.1 200 OK\r\nContent-Length: " . $blocks * length($block) . "\r\n\r\n");
        for (1 .. $blocks) { $connection->write($block) or last }
    } else {
        my $text = name_of(body_of($connection, $head)) . ($head =~ /^content-length/mi ? '' : ' without a length');
        $connection->write("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text");
    }
};

sub post {
    my ($target, $chunked) = @_;
    my $connection = connection();
    $connection->write("POST $target HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" . ($chunked ? 'Transfer-Encoding: chunked' : 'Content-Length: ' . $blocks * length($block)) . "\r\n\r\n");
    my ($before, $after) = $chunked ? (sprintf("%x\r\n", length $block), "\r\n") : ('', '');
    for (1 .. $blocks) { $connection->write("$before$block$after") or return 'refused' }
    $connection->write("0\r\n\r\n") if $chunked;
    return $connection->answer;
}

our $filters = <<'_EOC_';
    wasm_module headers     $TEST_NGINX_FILTERS/headers.wasm;
    wasm_module body_stream $TEST_NGINX_FILTERS/body_stream.wasm;
_EOC_

our $locations = do {
    my %filter = (
        ops     => q(wasm_filter hostcalls '{}';),
        headers => q(wasm_filter headers '{"response":{"set":{"x-filtered":"1"}}}';),
        upper   => q(wasm_filter body_stream '{"direction":"both"}';),
        three   => q(wasm_filter hostcalls '{}'; wasm_filter body_stream '{"direction":"both"}'; wasm_filter headers '{}';),
    );
    CORE::join '', "client_body_buffer_size 64k;\n", map {
        my $limits = 'client_max_body_size 0; proxy_read_timeout 20s; send_timeout 20s;';
        "location /$_/ { $filter{$_} $limits proxy_pass http://up; }\n"
        . "location /$_/unbuffered { $filter{$_} $limits proxy_buffering off; proxy_request_buffering off; proxy_http_version 1.1; proxy_pass http://up; }\n"
        . "location /$_/file { $filter{$_} $limits alias html/; }\n"
    } sort keys %filter;
};

run_tests();

__DATA__

=== TEST 1: a 64 MiB response through filters that change no body, buffered and unbuffered
--- http_config eval: $::filters
--- config eval: $::locations
--- upstream eval: $::upstream
--- client eval
sub { ::get('/ops/'); CORE::join '', map { my $path = $_; "$path " . ::bounded(sub { ::get($path) }) . "\n" } qw(/ops/ /headers/ /ops/unbuffered /headers/unbuffered) }
--- client_out
/ops/ plain 67108864, bounded
/headers/ plain 67108864, bounded
/ops/unbuffered plain 67108864, bounded
/headers/unbuffered plain 67108864, bounded



=== TEST 2: a 64 MiB response rewritten chunk by chunk, alone and among three filters
--- http_config eval: $::filters
--- config eval: $::locations
--- upstream eval: $::upstream
--- client eval
sub { CORE::join '', map { my $path = $_; "$path " . ::bounded(sub { ::get($path) }) . "\n" } qw(/upper/ /upper/unbuffered /three/) }
--- client_out
/upper/ upper 67108864, bounded
/upper/unbuffered upper 67108864, bounded
/three/ upper 67108864, bounded



=== TEST 3: a 64 MiB request body passed and rewritten, with a length and in chunks
--- http_config eval: $::filters
--- config eval: $::locations
--- upstream eval: $::upstream
--- client eval
# The answer passes the filter too, so the name is in upper case where the body is.
sub { CORE::join '', map { my ($path, $chunked) = @$_; "$path " . ::bounded(sub { ::post($path, $chunked) }) . "\n" } ['/ops/'], ['/headers/', 1], ['/upper/'], ['/upper/unbuffered', 1], ['/three/'] }
--- client_out
/ops/ 200 plain 67108864, bounded
/headers/ 200 plain 67108864, bounded
/upper/ 200 UPPER 67108864, bounded
/upper/unbuffered 200 UPPER 67108864 WITHOUT A LENGTH, bounded
/three/ 200 UPPER 67108864, bounded



=== TEST 4: a 64 MiB file, passed and rewritten, with sendfile on and off
--- http_config eval: $::filters
--- config eval: "sendfile on; $::locations location /off { sendfile off; wasm_filter body_stream; alias html/; }"
--- upstream eval: $::upstream
--- client eval
sub {
    open my $file, '>', "$ENV{TEST_NGINX_SERVROOT}/html/large" or die $!;
    print $file $::block for 1 .. $::blocks;
    close $file;
    my $got = CORE::join '', map { my $path = $_; "$path " . ::bounded(sub { ::get("$path/large") }) . "\n" } qw(/ops/file /headers/file /upper/file /three/file /off);
    unlink "$ENV{TEST_NGINX_SERVROOT}/html/large";
    $got;
}
--- client_out
/ops/file plain 67108864, bounded
/headers/file plain 67108864, bounded
/upper/file upper 67108864, bounded
/three/file upper 67108864, bounded
/off upper 67108864, bounded



=== TEST 5: a client that reads slowly: what it does not take stays with the upstream or on disk
--- http_config eval: $::filters
--- config eval: $::locations
--- upstream eval: $::upstream
--- client eval
sub { CORE::join '', map { my $path = $_; "$path " . ::bounded(sub { ::get($path, sub { select undef, undef, undef, 1 }) }) . "\n" } qw(/upper/unbuffered /upper/ /ops/unbuffered) }
--- client_out
/upper/unbuffered upper 67108864, bounded
/upper/ upper 67108864, bounded
/ops/unbuffered plain 67108864, bounded
