# The configurations of nginx-conf/, run as `make run` lays them out, but for the ports: what their
# comments say to try, and what comes of it.

use strict;
use warnings;

use File::Temp ();
use NginxConf;
use Test::More;

# What each command of a configuration's comments is answered with. A regex is for the whole output.
my %expected = (
    nginx => {
        'curl -i http://127.0.0.1:8080/fault' => qr{^HTTP/1.1 503 .*\r\n\r\nhello from a filter\n\z}s,
        'curl -i http://127.0.0.1:8080/headers' =>
            qr{^HTTP/1.1 200 (?!.*x-internal).*^x-filtered-by: wasm\r.*the upstream got GET /headers, x-user=alice, user-agent=\n\z}ms,
        'curl -i http://127.0.0.1:8080/body' => qr{^HTTP/1.1 200 .*\r\n\r\nthe WASM got GET /body,}s,
    },
    calls => {
        'curl -i http://127.0.0.1:8080/' => qr{^HTTP/1.1 401 .*^www-authenticate: Bearer realm="sample"\r\n.*\r\nWho are you\?\n\z}ms,
        q{curl -i -H 'Authorization: alice' http://127.0.0.1:8080/} => qr{^HTTP/1.1 200 .*\r\n\r\nhello alice, you asked for /\n\z}s,
        q{curl -i -H 'Authorization: mallory' http://127.0.0.1:8080/} => qr{^HTTP/1.1 403 .*\r\n\r\nAccess forbidden\.\n\z}s,
        'curl -i http://127.0.0.1:8080/down' => qr{^HTTP/1.1 503 .*\r\n\r\nAccess cannot be checked\.\n\z}s,
    },
    extism => {
        q{curl -d 'John Doe' http://127.0.0.1:8080/hello} => qr{^\{"message":"\xf0\x9f\xa6\x80 Hello John Doe"\}\z},
        q{curl -d 'John Doe' http://127.0.0.1:8080/hello-go} => qr{Hello John Doe},
        q{curl -d 'John Doe' http://127.0.0.1:8080/hello-as} => qr{Hello John Doe},
        q{curl -d 'John Doe' http://127.0.0.1:8080/vowels http://127.0.0.1:8080/vowels} => qr{"count":3,"total":3,.*"count":3,"total":6,}s,
        q{curl -d 'John Doe' http://127.0.0.1:8080/alone http://127.0.0.1:8080/alone} => qr{"count":3,"total":3,.*"count":3,"total":3,}s,
        q{curl -d 'item=7' http://127.0.0.1:8080/price} => qr{^\{"status":200,"body":"7 costs 42"\}\z},
        'curl -i http://127.0.0.1:8080/teapot?q=1' => qr{^HTTP/1.1 418 .*^x-method: GET\r.*^path /teapot\nquery q=1\n}ms,
    },
    components => {
        q{curl -d 'John Doe' http://127.0.0.1:8080/hello} => qr{^\{"message":"Hello John Doe"\}\z},
        q{curl -d 'John Doe' http://127.0.0.1:8080/hello3} => qr{^\{"message":"Hello John Doe"\}\z},
        'curl http://127.0.0.1:8080/counter/key-value/count?default,visits' => qr{^1\z},
        'curl http://127.0.0.1:8080/counter/variable?greeting' => qr{^Hello nginx\z},
    },
    'http-wasm' => {
        'curl -i http://127.0.0.1:8080/' => qr{^HTTP/1.1 401 .*^www-authenticate: Cookie\r\n.*\r\nwho are you\?\n\z}ms,
        'curl -i -b session=s3cret http://127.0.0.1:8080/' =>
            qr{^HTTP/1.1 200 .*^x-filtered-by: http-wasm\r\n.*\r\nhello alice, have a panda\n\z}ms,
        q{curl -d 'a panda' http://127.0.0.1:8080/body} => qr{^hello , have a polar bear\n\z},
    },
    shared => {
        'curl -i http://127.0.0.1:8080/count' => qr{^HTTP/1.1 200 .*^x-count: 1\r\n.*\r\ncounted\n\z}ms,
        'curl http://127.0.0.1:8080/lines' => qr{\Asee logs/lines.log\n\z},
    },
    metrics => {
        'curl -i http://127.0.0.1:8080/count' => qr{^HTTP/1.1 200 .*^x-count: 1\r}ms,
        'curl http://127.0.0.1:8080/metrics' => qr/^shared_counter_visits_requests\{[^}]*\} 1$/m,
        q{curl -H 'Accept: application/openmetrics-text' http://127.0.0.1:8080/metrics} =>
            qr/^shared_counter_visits_requests_total\{[^}]*\} 1(?:\.0)?\n.*^# EOF\n\z/ms,
    },
);

# What comes of them a little later.
my %later = (
    shared => sub { join('|', sort grep { length } split /\n/, read_file("$_[0]/logs/lines.log")) eq 'GET /count 200|GET /lines 200' },
    metrics => sub { run_command('curl http://127.0.0.1:8080/metrics') =~ /^shared_counter_visits_last\{[^}]*\} 1$/m },
);

my @configurations = map { m{/([^/]+)\.conf$} } glob "$root/nginx-conf/*.conf";
# It needs Redis, and has 324-ai-gateway.t.
my %elsewhere = ('ai-gateway' => 1);
is("@configurations", join(' ', sort keys %expected, keys %elsewhere), 'configurations');

for my $name (grep { !$elsewhere{$_} } @configurations) {
    my $prefix = File::Temp::tempdir('nginx-conf-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    start($name, $prefix) or next;
    my @commands = commands($name);
    is_deeply([sort @commands], [sort keys %{$expected{$name}}], "$name: commands");
    like(run_command($_), $expected{$name}{$_}, "$name: $_") for @commands;
    ok(wait_until(sub { $later{$name}->($prefix) }), "$name: a little later") if $later{$name};
    stop();
    unlike(read_file("$prefix/logs/error.log"), qr/\[(?:alert|crit|emerg)\]|panicked/, "$name: error.log");
}

done_testing();
