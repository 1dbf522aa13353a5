# Maps, buffers and properties that are asked for, and written to, in every callback and every state of a request. The guest is
# conformance/states/guest.wat; what it is answered is in table.txt there, here and by Envoy. A question that is valid is never answered
# with anything but Ok and NotFound: SDKs end the guest otherwise, and with it all requests in its instance.

use Test::Nginx::Socket 'no_plan';
use Control;
use FindBin;
use Hostile;

our $states = "$FindBin::Bin/../conformance/states";

# Rows of the table: "state, callback" => [statuses, in the order of the file].
sub table {
    my ($whose, @lines) = @_;
    my %rows;
    for (@lines) {
        chomp;
        my ($name, $state, $callback, $statuses) = split /\t/;
        push @{ $rows{"$state, $callback"} }, $statuses if defined $statuses && $name eq $whose;
    }
    return \%rows;
}

sub lines_of {
    my $file = shift;
    open my $in, '<', $file or die "$file: $!";
    return <$in>;
}

# name => statuses, a digit each.
sub row { return map { split /=/ } split / /, shift }

# Where a map can still be changed here, while Envoy says no: as long as the change has an effect.
our %later = (
    0 => qr/, (?:context_create|request_body|call_stream|tick_stream)\z/,
    2 => qr/, (?:response_body|tick_stream)\z/,
    3 => qr/, (?:response_headers|response_body|response_trailers|tick_stream)\z/,
);

no_long_string();
run_tests();

__DATA__

=== TEST 1: each question and each change, in each state, is answered as the table says
--- http_config
    wasm_module s ../html/guest.wat;
    upstream up { server 127.0.0.1:$TEST_NGINX_PORT_1; }
    proxy_http_version 1.1;
    proxy_pass_trailers on;
    proxy_set_header TE trailers;
    proxy_set_header Connection "TE, close";
    server {
        listen 127.0.0.1:$TEST_NGINX_PORT_2;
        location / { wasm_filter s c; proxy_pass http://up; }
        location = /none { wasm_filter s c; return 444; }
        location = /large { wasm_filter s c; client_max_body_size 1; proxy_pass http://up; }
        location = /sub { auth_request /auth; proxy_pass http://up; }
        location = /auth { internal; wasm_filter s c; proxy_pass http://up; }
    }
--- config
--- user_files eval: ">>> guest.wat\n" . CORE::join '', main::lines_of("$::states/guest.wat")
--- init
open my $out, '-|', 'python3', '-B', "$main::states/drive.py", $ENV{TEST_NGINX_PORT_2}, $ENV{TEST_NGINX_PORT_1}, $main::log, 'nginx' or die "python3: $!";
my $seen = main::table('nginx', map { "nginx\t$_" } <$out>);
Test::More::ok(close $out, 'all states were seen');
my $known = main::table('nginx', main::lines_of("$main::states/table.txt"));
Test::More::is_deeply($seen->{$_}, $known->{$_}, $_) for sort keys %{ { %$seen, %$known } };
--- no_error_log eval: qr/\[alert\]|\[crit\]|\[emerg\]|panicked|trapped/



=== TEST 2: the table itself: questions are Ok or NotFound, changes are refused where Envoy refuses them or they have an effect
--- config
--- init
my @lines = main::lines_of("$main::states/table.txt");
my ($nginx, $envoy) = map { main::table($_, @lines) } 'nginx', 'envoy';
Test::More::cmp_ok(scalar keys %$nginx, '>', 80, 'rows of this host');
Test::More::cmp_ok(scalar keys %$envoy, '>', 70, 'rows of Envoy');
for my $name (sort keys %$nginx) {
    for my $statuses (@{ $nginx->{$name} }) {
        my %here = main::row($statuses);
        # The last map and the last buffer have a number that is none.
        Test::More::like($here{$_}, $_ eq 'prop' ? qr/\A[01]+\z/ : qr/\A[01]+2\z/, "$name: $_") for qw(get pairs size bytes len prop);
        next unless $envoy->{$name};
        for my $import (qw(add replace remove)) {
            for my $map (0 .. 8) {
                my @there = map { my %row = main::row($_); substr $row{$import}, $map, 1 } @{ $envoy->{$name} };
                my $status = substr $here{$import}, $map, 1;
                my $allowed = $status == 2 || grep({ $_ == 0 } @there) || $name =~ ($main::later{$map} // qr/(?!)/);
                Test::More::fail("$name: $import $map: $status, in Envoy @there") unless $allowed;
            }
        }
    }
}



=== TEST 3: a header that comes too late is refused, and no variable has it
--- http_config
    wasm_module late ../html/late.wat;
    log_format late '$uri $status http=$http_x_late sent=$sent_http_x_late type=$sent_http_content_type';
--- config
    access_log logs/late.log late;
    location = /static { wasm_filter late; return 200 body; }
    location = /none { wasm_filter late; return 444; }
    location = /bad { wasm_filter late; proxy_pass http://127.0.0.1:1; }
--- user_files eval
my $data = '(data (i32.const 512) "x-late1content-typet/late")';
# The statuses of a change of each map, as a line of the log.
my $late = '(func $late (local $map i32)
    (loop $next
        (i32.store8 (i32.add (i32.const 1024) (i32.mul (local.get $map) (i32.const 2)))
            (i32.add (i32.const 48) (call $proxy_add_header_map_value (local.get $map) (i32.const 512) (i32.const 6) (i32.const 518) (i32.const 1))))
        (i32.store8 (i32.add (i32.const 1025) (i32.mul (local.get $map) (i32.const 2)))
            (i32.add (i32.const 48) (call $proxy_replace_header_map_value (local.get $map) (i32.const 519) (i32.const 12) (i32.const 531) (i32.const 6))))
        (local.set $map (i32.add (local.get $map) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $map) (i32.const 4))))
    (drop (call $proxy_log (i32.const 2) (i32.const 1024) (i32.const 8))))';
">>> late.wat\n" . main::guest(imports => [qw(proxy_add_header_map_value proxy_replace_header_map_value proxy_log)], fields => "$data $late",
    done => '(call $late) (i32.const 1)', log => '(call $late)', delete => '(call $late)')
--- init
for my $case (['/static', 200, qr/text/], ['/none', 444, qr/-/], ['/bad', 502, qr/text/]) {
    my ($path, $status, $type) = @$case;
    main::get($path);
    my $line = qr/^\Q$path\E (\d+) http=(.*) sent=(.*) type=(.*)$/m;
    my $text = '';
    main::wait_until(sub { $text = join '', main::lines_of("$main::root/logs/late.log"); $text =~ $line });
    $text =~ $line;
    Test::More::is("$1 $2 $3", "$status - -", "$path: what is logged");
    Test::More::like($4, qr/\A$type/, "$path: the type");
    Test::More::unlike($4, qr/late/, "$path: the type is the one that was sent");
}
Test::More::is(join(' ', main::matches(qr/\[wasm\] late: \K\d+/)), join(' ', ('22222222') x 9), 'every change is refused');
--- no_error_log eval: qr/\[alert\]|\[crit\]|\[emerg\]|panicked|trapped/
