# What guests ask for a stream that has ended: a subrequest's context stays until its main request's end, and nothing is acted on.

use Test::Nginx::Socket 'no_plan';
use Pause;
use Servers;
use Wire;

log_level('info');
no_long_string();

our $faults = Servers::faults(tcp => $ENV{TEST_NGINX_PORT_1});
our $bad = qr/\[alert\]|\[emerg\]|\[crit\]|panicked/;
our $module = Pause::module_lines(qw(a b)) . 'upstream up { server 127.0.0.1:$TEST_NGINX_PORT_1; }';

our %contents = (
    local => 'return 200 sub;',
    file => 'alias html/sub.txt;',
    proxied => 'proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_pass http://up/size/3;',
);
# The main request waits for what the server holds when its subrequest has ended.
our %mains = (
    auth => 'auth_request /SUB; proxy_pass http://up/hold/main;',
    mirror => 'mirror /SUB; proxy_pass http://up/hold/main;',
    ssi => 'ssi on; ssi_types *; alias html/SUB.html;',
    addition => 'addition_types *; add_before_body /SUB; add_after_body /held; alias html/sub.txt;',
);
our @acts = qw(reply close continue);

sub pairs { return map { my $way = $_; map { [$way, $_] } sort keys %contents } sort keys %mains }

# /MAIN-CONTENT, whose subrequest is /sub-CONTENT; with a filter for the subrequest alone.
sub locations {
    my ($filter) = @_;
    my $text = 'location = /held { proxy_pass http://up/hold/main; }';
    $text .= "location = /sub-$_ { $filter $contents{$_} }\n" for keys %contents;
    for (pairs()) {
        my ($way, $content) = @$_;
        $text .= "location = /$way-$content { " . ($mains{$way} =~ s/SUB/sub-$content/gr) . " }\n";
    }
    return $text . Pause::go_locations(['a'], reply => '["local_response",403,[],"late"]', close => '["close","request"]',
        continue => '["continue","request"],["continue","response"]');
}

sub files {
    return CORE::join '', ">>> sub.txt\ntext\n", map { ">>> sub-$_.html\n<p><!--#include virtual=\"/sub-$_\" --> <!--#include virtual=\"/held\" --></p>\n" } keys %contents;
}

sub of_server { return (ask("GET $_[0] HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", $ENV{TEST_NGINX_PORT_1}) =~ /\r\n\r\n(.*)/s)[0] }

# Each main request, in whose wait the act is done for all contexts of its subrequest.
sub each_act {
    my ($before, @acts) = @_;
    my @out;
    for (pairs()) {
        my ($way, $content) = @$_;
        my @answers;
        for my $act (@acts) {
            my $begun = logged('on_request_headers');
            my $c = connection();
            $c->write("GET /$way-$content HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            wait_for(sub { logged('on_request_headers') > $begun }) or die "$way-$content: no subrequest\n";
            wait_for(sub { of_server('/held/main') =~ /waiting=1/ }) or die "$way-$content: the main request does not wait\n";
            $before->() if $before;
            go("/$act/a");
            of_server('/release/main');
            my ($head, $body) = $c->message;
            push @answers, $head =~ m{^HTTP/1.1 200 } && $body !~ /late|\(cut\)/ ? 'whole' : "[$head$body]";
            $c->close;
        }
        push @out, "$way-$content: @answers";
    }
    return rows(@out, 'writing ' . writing());
}

run_tests();

__DATA__

=== TEST 1: a local response, a close and a continue for the subrequest that has ended
--- http_config eval: $::module
--- config eval: main::locations(q(wasm_filter a '{"trace":true}';)) . 'location = /status { stub_status; }'
--- user_files eval: main::files()
--- client eval: sub { main::each_act(undef, @::acts) }
--- client_out
addition-file: whole whole whole
addition-local: whole whole whole
addition-proxied: whole whole whole
auth-file: whole whole whole
auth-local: whole whole whole
auth-proxied: whole whole whole
mirror-file: whole whole whole
mirror-local: whole whole whole
mirror-proxied: whole whole whole
ssi-file: whole whole whole
ssi-local: whole whole whole
ssi-proxied: whole whole whole
writing 1
--- contexts: 36
--- no_error_log eval: $::bad



=== TEST 2: the same for a subrequest that a filter has answered, and has seen the body of
--- http_config eval: $::module
--- config eval: main::locations(q(wasm_filter a '{"trace":true,"request_headers":[["local_response",200,[],"own"]],"response_body":[]}';)) . 'location = /status { stub_status; }'
--- user_files eval: main::files()
--- client eval: sub { main::each_act(undef, 'reply', 'close') }
--- client_out
addition-file: whole whole
addition-local: whole whole
addition-proxied: whole whole
auth-file: whole whole
auth-local: whole whole
auth-proxied: whole whole
mirror-file: whole whole
mirror-local: whole whole
mirror-proxied: whole whole
ssi-file: whole whole
ssi-local: whole whole
ssi-proxied: whole whole
writing 1
--- contexts: 24
--- no_error_log eval: $::bad



=== TEST 3: the host calls say that the stream has ended
--- http_config eval: $::module
--- config eval: main::locations(q(wasm_filter a '{"trace":true}';))
--- user_files eval: main::files()
--- client eval
sub {
    my $c = connection();
    $c->write("GET /auth-file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    wait_for(sub { main::of_server('/held/main') =~ /waiting=1/ }) or die "the main request does not wait\n";
    go("/$_/a") for qw(reply close continue);
    main::of_server('/release/main');
    my $answer = $c->answer;
    # The first context is the subrequest's, the next ones are those that do the calls, for themselves.
    my @said = log_text() =~ /(local_response 403: status 2|close request: status 2|continue \w+: status 2)/g;
    rows(substr($answer, 0, 3), sort(uniq(@said)));
    sub uniq { my %seen; return grep { !$seen{$_}++ } @_ }
}
--- client_out
200
close request: status 2
continue request: status 2
continue response: status 2
local_response 403: status 2



=== TEST 4: a close of a response that no filter sees the body of ends it
--- http_config eval: $::module
--- config eval
q(location = /drip { wasm_filter a '{"trace":true}'; proxy_buffering off; proxy_pass http://up/drip/0.1; } location = /status { stub_status; })
. Pause::go_locations(['a'], close => '["close","response"]')
--- client eval
sub {
    my $c = connection();
    $c->write("GET /drip HTTP/1.1\r\nHost: a\r\n\r\n");
    my $part = $c->until(qr/\r\n\r\n..../s);
    go('/close/a');
    my $rest = $c->rest;
    rows($part =~ m{^(HTTP/1.1 200)}, $rest =~ /\r\n0\r\n\r\n\z/ ? 'whole' : 'cut off', 'writing ' . writing());
}
--- client_out
HTTP/1.1 200
cut off
writing 1
--- no_error_log eval: $::bad
