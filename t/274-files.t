# Every way that nginx hands a file to body filters: with O_DIRECT, from threads, by sendfile, from a cache of
# open files, from its own cache; and filters that pass, read, hold and change it.

use Test::Nginx::Socket 'no_plan';
use Wire;

log_level('info');
no_long_string();

our $bad = qr/\[(?:error|alert|crit|emerg)\]|panicked/;

# Neither a multiple of a block's size nor of a window's.
our $text = do { my $n = 0; substr CORE::join('', map { sprintf "%07x line\n", $_ * 7919 } 1 .. 40_000), 0, 300_007 };

our %filters = (
    none  => '',
    pass  => q(wasm_filter a '{}';),
    read  => q(wasm_filter a '{"response_body":[["log_body_length","response",0,-1]]}';),
    hold  => q(wasm_filter a '{"response_body":[["action","pause"],["if_end_of_stream",[["action","continue"]]]]}';),
    end   => q(wasm_filter a '{"response_headers":[["remove_header","response","content-length"]],"response_body":[["action","pause"],["if_end_of_stream",[["set_body","response",5,3,"CHANGED"],["action","continue"]]]]}';),
    upper => q(wasm_filter upper;),
);
our %wanted = map { $_ => $text } qw(none pass read hold);
$wanted{end} = do { my $t = $text; substr $t, 5, 3, 'CHANGED'; $t };
$wanted{upper} = uc $text;

# A location for each of these ways and each filter, and what is said about those that go wrong.
sub locations {
    my ($ways, $from) = @_;
    return CORE::join '', map { my $way = $_; map { "location /$way/$_/ { $ways->{$way} $filters{$_} " . ($from // 'alias html/') . "; }\n" } sort keys %filters } sort keys %$ways;
}

sub visit_all {
    my ($ways, $rounds) = @_;
    return rows(map {
        my $way = $_;
        my @wrong;
        for my $filter ((sort keys %filters) x ($rounds // 1)) {
            my ($head, $body) = fetch("/$way/$filter/f");
            my ($status) = $head =~ m{^HTTP/1.1 (\d+)};
            push @wrong, "$filter ($status, " . length($body) . ' bytes)' if $status != 200 || $body ne $wanted{$filter};
        }
        # A range is cut from what filters leave alone.
        for my $filter (qw(none pass read)) {
            my ($head, $body) = fetch("/$way/$filter/f", "Range: bytes=70001-200000\r\n");
            push @wrong, "$filter, a range: $head" if $head !~ /^HTTP\S+ 206/ || $body ne substr $text, 70001, 130_000;
        }
        "$way: " . (@wrong ? CORE::join ', ', @wrong : 'ok');
    } sort keys %$ways);
}

sub fetch {
    my ($target, $lines, $body) = @_;
    my $c = connection();
    my $method = defined $body ? 'POST' : 'GET';
    $c->write("$method $target HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" . ($lines // '') . (defined $body ? 'Content-Length: ' . length($body) . "\r\n" : '') . "\r\n" . ($body // ''));
    return $c->message;
}

our %files = (
    'as-it-is'        => '',
    'small-buffers'   => 'output_buffers 1 4k;',
    'sendfile'        => 'sendfile on;',
    'small-chunks'    => 'sendfile on; sendfile_max_chunk 16k;',
    'open-files'      => 'open_file_cache max=10; sendfile on;',
    'threads'         => 'aio threads;',
    'threads-send'    => 'aio threads; sendfile on; sendfile_max_chunk 64k;',
    'direct'          => 'directio 4k;',
    'direct-send'     => 'directio 4k; sendfile on;',
    'direct-aligned'  => 'directio 4k; directio_alignment 4k; output_buffers 2 64k;',
    'direct-aio'      => 'directio 4k; aio on;',
    'direct-threads'  => 'directio 4k; directio_alignment 4k; aio threads;',
    'direct-open'     => 'directio 4k; open_file_cache max=10;',
    'direct-some'     => 'directio 1m; sendfile on;',
);
our %cached = (
    'cached'          => 'proxy_cache c;',
    'cached-send'     => 'proxy_cache c; sendfile on;',
    'cached-threads'  => 'proxy_cache c; aio threads; aio_write on;',
    'cached-direct'   => 'proxy_cache c; directio 4k; directio_alignment 4k;',
    'spooled'         => 'proxy_store $document_root/../proxy_temp/store$uri; proxy_buffers 2 4k; proxy_buffer_size 4k; proxy_busy_buffers_size 4k;',
    'spooled-threads' => 'proxy_store $document_root/../proxy_temp/store$uri; proxy_buffers 2 4k; proxy_buffer_size 4k; proxy_busy_buffers_size 4k; aio threads; aio_write on;',
);
our $http = <<'_EOC_';
wasm_module a $TEST_NGINX_FILTERS/hostcalls.wasm log_rate=off;
wasm_module upper $TEST_NGINX_FILTERS/body_stream.wasm;
proxy_cache_path proxy_temp/cache keys_zone=c:1m;
proxy_cache_valid any 1h;
proxy_cache_key $uri;
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / { alias html/; max_ranges 0; }
    location ~ /f$ { rewrite ^ /g break; root html; }
    location /echo { client_max_body_size 1m; add_header X-Length $content_length; proxy_request_buffering off; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_9; }
}
_EOC_
our $user_files = [['f', $text], ['g', $text]];

# Answers with the body that came in.
our $echo = sub {
    my $c = shift;
    my ($head, $body) = $c->message;
    $c->write('HTTP/1.1 200 OK' . "\r\nConnection: close\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
};

run_tests();

__DATA__

=== TEST 1: files
--- http_config eval: $::http
--- config eval: main::locations(\%main::files)
--- user_files eval: $::user_files
--- client eval: sub { main::visit_all(\%main::files) }
--- client_out eval: main::rows(map { "$_: ok" } sort keys %main::files)
--- no_error_log eval: $::bad



=== TEST 2: responses in nginx's cache, and spooled to a temporary file
The second round is from the cache.
--- http_config eval: $::http
--- config eval: main::locations(\%main::cached, 'proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1')
--- user_files eval: $::user_files
--- client eval: sub { main::visit_all(\%main::cached, 2) }
--- client_out eval: main::rows(map { "$_: ok" } sort keys %main::cached)
--- no_error_log eval: $::bad



=== TEST 3: request bodies that nginx keeps in a file
--- http_config eval: $::http
--- config eval
CORE::join '', map {
    my ($way, $directives) = @$_;
    my $to = "client_max_body_size 1m; proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_9;\n}\n";
    qq~location = /$way/none { $directives $to
    location = /$way/read { $directives wasm_filter a '{"request_body":[["log_body_length","request",0,-1]]}'; $to
    location = /$way/hold { $directives wasm_filter a '{"request_body":[["action","pause"],["if_end_of_stream",[["action","continue"]]]]}'; $to
    location = /$way/upper { $directives wasm_filter upper '{"direction":"request"}'; $to~;
} ['file', 'client_body_in_file_only clean;'], ['file-threads', 'client_body_in_file_only on; aio threads; aio_write on; sendfile on;'], ['file-direct', 'client_body_in_file_only clean; directio 4k; sendfile off;'], ['large', 'client_body_buffer_size 8k;']
--- upstream eval: $::echo
--- client eval
sub {
    rows(map {
        my $way = $_;
        my @wrong = grep { (main::fetch("/$way/$_", '', $::text))[1] ne ($_ eq 'upper' ? uc $::text : $::text) } qw(none read hold upper);
        "$way: " . (@wrong ? "@wrong" : 'ok');
    } qw(file file-threads file-direct large))
}
--- client_out
file: ok
file-threads: ok
file-direct: ok
large: ok
--- no_error_log eval: $::bad



=== TEST 4: a pause that ends while a thread reads what is before it in the file
The filter passes some pieces of the file and holds one; each is continued by a tick.
--- http_config eval: $::http
--- config
    location /d/ {
        aio threads;
        sendfile on;
        sendfile_max_chunk 16k;
        alias html/;
        wasm_filter a '{"response_headers":[["set_tick",1]],"response_body":[["if_end_of_stream",[["action","pause"],["let_root","held","1"]]]],"tick":[["repeat",60,[["let","n",{"add":[{"var":"n"},1]}],["effective_context",{"var":"n"}],["if",{"var":"status"},"0",[["continue","response"]]]]],["let","n","0"]]}';
    }
--- user_files eval: $::user_files
--- client eval
sub {
    my @connections = map { my $c = connection(); $c->write("GET /d/f HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); $c } 1 .. 8;
    my @bodies = map { ($_->message)[1] } @connections;
    rows(scalar grep { $_ eq $::text } @bodies);
}
--- client_out
8
--- no_error_log eval: $::bad
