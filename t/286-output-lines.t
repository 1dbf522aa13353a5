# What guests write to standard output and error: lines of the log, however many pieces they come in.

use Test::Nginx::Socket 'no_plan';
use Control;
use Hostile;

# Lines of guests in error.log, of these levels.
sub lines {
    my $level = shift;
    my $text = do { local (@ARGV, $/) = $main::log; <> };
    return map { s/(?: while [\w ]+)?, client.*//r } $text =~ /\[$level\] \S+ (?:\*\d+ )?\[wasm\] (.*)/g;
}

# A guest that writes these texts to a file descriptor, each by a call of its own.
sub writing {
    my ($fd, @texts) = @_;
    my ($at, $data, $calls) = (1024, '', '');
    for my $text (@texts) {
        my $bytes = CORE::join '', map { sprintf '\\%02x', ord } split //, $text;
        $data .= "(data (i32.const $at) \"$bytes\")\n";
        $calls .= "(i32.store (i32.const 16) (i32.const $at)) (i32.store (i32.const 20) (i32.const " . length($text) . "))"
            . "(drop (call \$fd_write (i32.const $fd) (i32.const 16) (i32.const 1) (i32.const 24)))\n";
        $at += length $text;
    }
    return ($data, $calls);
}

our @trace = ('panic: ', 'oh', ' no', "\n", "\n", 'goroutine ', '1', ' [', 'running', "]:\n", 'main.f', "(...)\n\t", '/src/main.go', ':', '12', ' +', '0x1f', "\n");

sub writer {
    my ($fd, $more, @texts) = @_;
    my ($data, $calls) = writing($fd, @texts);
    return guest(imports => ['fd_write'], fields => $data, request_headers => "$calls $more (i32.const 0)");
}

no_long_string();
no_root_location();
run_tests();

__DATA__

=== TEST 1: a trace that comes word by word is logged line by line
--- http_config
wasm_module w ../html/w.wat;
--- config
location /w { wasm_filter w; return 200; }
--- user_files eval
">>> w.wat\n" . main::writer(2, '', @::trace)
--- init
Test::More::like(main::get('/w'), qr{\AHTTP/1\.1 200}, 'served');
Test::More::is_deeply([main::lines('error')], ['w: panic: oh no', 'w: goroutine 1 [running]:', 'w: main.f(...)', "w: \t/src/main.go:12 +0x1f"], 'lines')
    or Test::More::diag(CORE::join "\n", main::lines('error'));
--- no_error_log
[alert]
[emerg]



=== TEST 2: a line without an end is logged when the callback is over, or has trapped, with its request
--- http_config
wasm_module w ../html/w.wat;
wasm_module trap ../html/trap.wat;
--- config
location /w { wasm_filter w; return 200; }
location /trap { wasm_filter trap; return 200; }
--- user_files eval
">>> w.wat\n" . main::writer(1, '', 'half ', 'a line') . ">>> trap.wat\n" . main::writer(2, '(unreachable)', 'last ', 'words')
--- init
main::get('/w');
main::get('/trap');
Test::More::is_deeply([grep { /\Aw/ } main::lines('info')], ['w: half a line'], 'without an end');
my @of_t = grep { /\Atrap/ } main::lines('error');
Test::More::is($of_t[0], 'trap: last words', 'before the trap');
Test::More::like($of_t[1], qr/\Atrap: .*unreachable/, 'then the trap');
Test::More::is(scalar(@of_t), 2, 'and no more');
my @with_request = main::matches(qr/(half a line.*client: )/);
Test::More::is(scalar(@with_request), 1, 'it is of the request');
--- no_error_log
[alert]
[emerg]



=== TEST 3: both outputs are lines of their own
--- http_config
wasm_module w ../html/w.wat;
--- config
location /w { wasm_filter w; return 200; }
--- user_files eval
my ($data, $one) = main::writing(1, 'to ', "out\n");
my ($more, $two) = main::writing(2, 'to ', 'out');
my @one = split /\n/, $one;
my @two = split /\n/, $two;
">>> w.wat\n" . main::guest(imports => ['fd_write'], fields => $data, request_headers => "$one[0] $two[0] $one[1] $two[1] (i32.const 0)")
--- init
main::get('/w');
Test::More::is_deeply([grep { /\Aw/ } main::lines('info')], ['w: to out'], 'output');
Test::More::is_deeply([main::lines('error')], ['w: to out'], 'error');
--- no_error_log
[alert]
[emerg]



=== TEST 4: lines that come in thousands have a rate, and a write of many lines is not so many lines
--- http_config
wasm_module w ../html/w.wat log_rate=1000;
--- config
location /w { wasm_filter w; return 200; }
--- user_files eval
">>> w.wat\n" . main::writer(2, '', "x\n" x 2000)
--- init
Test::More::like(main::get('/w'), qr{\AHTTP/1\.1 200}, 'served');
my @lines = main::lines('error');
Test::More::is(scalar(@lines), 257, 'lines');
--- no_error_log
[alert]
[emerg]
