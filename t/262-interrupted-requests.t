# What interrupts the callbacks of a request: a body that nginx cannot read, filters that end the request while the body is on its
# way. Error pages at locations with the same filters, with others and with none.

use Test::Nginx::Socket 'no_plan';
use Pause;
use Servers;
use Wire;
use Wire::H2;

log_level('info');
no_long_string();

our $faults = Servers::faults(tcp => $ENV{TEST_NGINX_PORT_1});
our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;
our $module = main::modules();
our $echo = 'proxy_http_version 1.1; rewrite ^ /echo break; proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;';

sub modules { return Pause::module_lines(qw(a b c)) }

my $see = '{"trace":true,"request_body":[]}';
our $same = "wasm_filter a '$see';";
our $other = "wasm_filter b '$see';";
# The second filter holds the header while the first one sees the body.
our $early = "wasm_filter a '$see'; wasm_filter c '{\"trace\":true,\"request_headers\":[[\"action\",\"pause\"]]}';";

# Locations /PAGE whose error page is of that kind, with these filters.
sub with_pages {
    my ($filters, $content, %how) = @_;
    my %filters = (same => $filters, other => $other, none => '', named => $filters);
    my $page = $how{page} // 'return 200 page;';
    return CORE::join '', map {
        my $target = $_ eq 'named' ? '@page_named' : "/page_$_";
        "location = /$_ { $filters client_max_body_size 100; error_page 400 413 500 503 504 $target; $content }\n"
            . "location " . ($_ eq 'named' ? '@page_named' : "= /page_$_") . " { $filters{$_} $page }\n";
    } qw(same other none named);
}

our @bodies = (
    ['bad chunk' => "Transfer-Encoding: chunked\r\n\r\n", "zz\r\n\r\n"],
    ['bad later' => "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n", "zz\r\n\r\n"],
    ['chunk too large' => "Transfer-Encoding: chunked\r\n\r\n", "400\r\n" . 'x' x 1024 . "\r\n0\r\n\r\n"],
    ['too large' => "Content-Length: 500\r\n\r\n", 'x' x 500],
);

# Each body, in one piece and in two, to each location; "what: answers".
sub each_body {
    my @out;
    for (@_ ? @_ : @bodies) {
        my ($what, $head, $rest) = @$_;
        my @answers;
        for my $location (qw(same other none named)) {
            for my $pieces (1, 2) {
                my $c = connection();
                my $begun = logged('on_request_headers');
                $c->write("POST /$location HTTP/1.1\r\nHost: a\r\n$head" . ($pieces == 1 ? $rest : ''));
                if ($pieces == 2) {
                    # nginx waits for the rest, or has answered.
                    $what eq 'too large' or wait_for(sub { logged('on_request_headers') > $begun });
                    $c->write($rest);
                }
                push @answers, $c->answer;
                $c->close;
            }
        }
        push @out, "$what: " . CORE::join ', ', uniq(@answers);
    }
    return rows(@out, 'writing ' . writing());
}

sub uniq { my %seen; return grep { !$seen{$_}++ } @_ }

run_tests();

__DATA__

=== TEST 1: a body that nginx cannot read, in the rewrite phase
--- http_config eval: $::module
--- config eval: main::with_pages($::same, $::echo) . 'location = /status { stub_status; }'
--- client eval: \&main::each_body
--- client_out
bad chunk: 400 page
bad later: 400 page
chunk too large: 413 page
too large: 413 page
writing 1
--- no_error_log eval: $::bad



=== TEST 2: the same in the access phase
--- http_config eval: $::module . 'wasm_filter_phase access;'
--- config eval: main::with_pages($::same, $::echo) . 'location = /status { stub_status; }'
--- client eval: \&main::each_body
--- client_out
bad chunk: 400 page
bad later: 400 page
chunk too large: 413 page
too large: 413 page
writing 1
--- no_error_log eval: $::bad



=== TEST 3: a filter holds the header while another one sees the body
A length that is too large is refused before any filter is asked, so the filters hold the error page, then.
--- http_config eval: $::module
--- config eval: main::with_pages($::early, $::echo) . 'location = /status { stub_status; }'
--- client eval: sub { main::each_body(@main::bodies[0 .. 2]) }
--- client_out
bad chunk: 400 page
bad later: 400 page
chunk too large: 413 page
writing 1
--- no_error_log eval: $::bad



=== TEST 4: without an error page
--- http_config eval: $::module
--- config eval: "location = /x { $::same client_max_body_size 100; $::echo } location = /status { stub_status; }"
--- client eval
sub {
    my @out;
    for (@main::bodies) {
        my ($what, $head, $rest) = @$_;
        my $c = connection();
        $c->write("POST /x HTTP/1.1\r\nHost: a\r\n$head$rest");
        push @out, "$what: " . substr $c->answer, 0, 3;
        $c->close;
    }
    rows(@out, 'writing ' . writing());
}
--- client_out
bad chunk: 400
bad later: 400
chunk too large: 413
too large: 413
writing 1
--- no_error_log eval: $::bad



=== TEST 5: contexts of what was interrupted end once, and only the error page's upstream is asked, for no body
--- http_config eval: $::module
--- config eval: main::with_pages($::same, 'proxy_pass http://127.0.0.1:1;', page => $::echo) . 'location = /status { stub_status; }'
--- client eval
sub {
    my @out;
    for my $location (qw(same other none named)) {
        my $c = connection();
        $c->write("POST /$location HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n");
        wait_for(sub { logged('on_request_headers') >= @out + 1 + ($location =~ /none|named/ ? 1 : 0) });
        $c->write("zz\r\n");
        my ($status, $json) = $c->answer =~ /(\d+) (.*)/s;
        my ($body) = $json =~ /"body": ?"(.*?)"/;
        push @out, "$location: $status [" . ($body // $json) . ']';
        $c->close;
    }
    rows(@out, 'writing ' . writing());
}
--- client_out
same: 400 []
other: 400 []
none: 400 []
named: 400 []
writing 1
--- contexts: 5
--- no_error_log eval: $::bad



=== TEST 6: a pause that takes too long while the body is on its way: the error page's upstream gets no half of it
--- http_config eval: $::module . 'wasm_pause_timeout 300ms;'
--- config eval: main::with_pages($::early, $::echo, page => $::echo) . 'location = /status { stub_status; }'
--- client eval
sub {
    my @out;
    for my $location (qw(same other none named)) {
        my $c = connection();
        $c->write("POST /$location HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
        my ($status, $json) = $c->answer =~ /(\d+) (.*)/s;
        my ($framing, $body) = ($json =~ /"framing": ?"(.*?)"/, $json =~ /"body": ?"(.*?)"/);
        push @out, "$location: $status [" . ($body // $json) . ']';
        # What comes now is no request.
        $c->write("67890GET /none HTTP/1.1\r\nHost: evil\r\n\r\n");
        push @out, 'then ' . ($c->rest =~ s/\(reset\)//r);
    }
    rows(@out, 'evil ' . logged('evil'), 'writing ' . writing());
}
--- client_out
same: 504 []
then 
other: 504 []
then 
none: 504 []
then 
named: 504 []
then 
evil 0
writing 1
--- no_error_log eval: $::bad



=== TEST 7: a body that is complete is the error page's
--- http_config eval: $::module . 'wasm_pause_timeout 300ms;'
--- config eval: main::with_pages($::early, $::echo, page => $::echo)
--- client eval
sub {
    rows(map {
        my $c = connection();
        $c->write("POST /$_ HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1234567890");
        my ($body) = $c->answer =~ /"body": ?"(.*?)"/;
        $c->close;
        "$_: $body";
    } qw(same other none named));
}
--- client_out
same: 1234567890
other: 1234567890
none: 1234567890
named: 1234567890
--- no_error_log eval: $::bad



=== TEST 8: a local response, and a close, while the body is on its way: what follows is no request
Where nginx reads the body for a filter, and where a filter holds the header meanwhile.
--- http_config eval: $::module
--- config eval
"location = /reading { $::same $::echo } location = /early { $::early $::echo } location = /evil { return 200 evil; } location = /status { stub_status; }"
. Pause::go_locations(['a'], reply => '["local_response",403,[],"no"]', close => '["close","request"]')
--- client eval
sub {
    my @out;
    for my $location (qw(reading early)) {
        for my $act (qw(reply close)) {
            my $c = connection();
            my $begun = logged("on_request_headers id=.*/$location");
            $c->write("POST /$location HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n12345");
            wait_for(sub { logged("on_request_headers id=.*/$location") > $begun }) or die "no request\n";
            go("/$act/a");
            my $answer = $act eq 'reply' ? $c->answer : '';
            $c->write("GET /evil HTTP/1.1\r\nHost: a\r\n\r\n");
            push @out, "$location $act: $answer [" . ($c->rest =~ s/\(reset\)//r) . ']';
        }
    }
    rows(@out, 'writing ' . writing());
}
--- client_out
reading reply: 403 no []
reading close:  []
early reply: 403 no []
early close:  []
writing 1
--- no_error_log eval: $::bad



=== TEST 9: HTTP/2: bodies that are longer than they should be
--- http_config eval
$::module . 'server { listen 127.0.0.1:$TEST_NGINX_PORT_2; http2 on; location /ok { return 200 ok; } ' . main::with_pages($::same, $::echo) . '}
server { listen 127.0.0.1:$TEST_NGINX_PORT_3; http2 on; location /ok { return 200 ok; } ' . main::with_pages($::early, $::echo) . '}'
--- config
location = /status { stub_status; }
--- client eval
sub {
    my @out;
    for my $port (2, 3) {
        my $h2 = Wire::H2->new(connection($ENV{"TEST_NGINX_PORT_$port"}));
        my $id = 1;
        for my $location (qw(same other none named)) {
            for my $length (undef, 4) {
                my $begun = logged('on_request_headers');
                $h2->headers($id, 0, ':method' => 'POST', ':scheme' => 'http', ':path' => "/$location", ':authority' => 'a', defined $length ? ('content-length' => $length) : ());
                wait_for(sub { logged('on_request_headers') > $begun });
                $h2->data($id, 0, 'x' x 60);
                $h2->data($id, 0, 'x' x 60);
                my %got = $h2->answers($id);
                push @out, $got{$id} // 'connection closed';
                $id += 2;
            }
        }
        $h2->get($id, '/ok');
        my %last = $h2->answers($id);
        push @out, $last{$id};
    }
    rows(main::uniq(@out), 'writing ' . writing());
}
--- client_out
page
ok
writing 1
--- no_error_log eval: $::bad
