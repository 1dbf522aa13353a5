# Plugins that Lua's code runs: bodies.

use LuaPlugins;
use Test::Nginx::Socket 'no_plan';
use Filtered;
use Wire;

# The answer's status, its lines that begin with X-, and its body.
sub answer {
    my ($path, $body, @lines) = @_;
    my $connection = connection();
    my $method = defined $body ? 'POST' : 'GET';
    $connection->write(join "\r\n", "$method $path HTTP/1.1", 'Host: localhost', @lines,
        (defined $body ? 'Content-Length: ' . length $body : ()), '', $body // '');
    my ($head, $text) = $connection->message;
    return join ' ', $head =~ m{^HTTP/1.1 (\d+)}, $head =~ /^(X-\S+: \S+)\r$/mgi, $text;
}


# What the upstream has got: its length line and its body, which is cut.
sub got {
    my $text = answer(@_);
    my ($length) = $text =~ /^(?:content-length|transfer-encoding): (\S+)$/mi;
    my ($body) = $text =~ /\n\n(.*)\n\z/s;
    return join ' ', $text =~ /^(\d+)/, 'length', $length // 'none', 'body', length($body // ''), substr $body // '', 0, 20;
}
{ no warnings 'once'; *Test::Base::Filter::got = \&got; *Test::Base::Filter::answer = \&answer; }

our $on_demand = '["set_property","wasm_process_req_body","yes"]';
our $on_demand_response = '["set_property","wasm_process_resp_body","yes"]';

run_tests();

__DATA__

=== TEST 1: the request's body on demand: seen, changed, taken away, made longer
--- load
h hostcalls.wasm
--- config eval
my $location = sub {
    my ($path, $phase, $conf) = @_;
    return "location /$path { \@apisix $phase h '$conf'; proxy_pass http://up; }\n";
};
'@vars; client_body_buffer_size 16k;' . $location->('unseen', 'access', '{"request_body":[["set_body","request",0,-1,"changed"]]}')
    . $location->('seen', 'access', qq~{"request_headers":[$::on_demand],"request_body":[["log_body_length","request",0,-1]]}~)
    . $location->('changed', 'rewrite', qq~{"request_headers":[$::on_demand,["remove_header","request","content-length"]],"request_body":[["set_body","request",0,-1,"changed"]]}~)
    . $location->('empty', 'access', qq~{"request_headers":[$::on_demand],"request_body":[["set_body","request",0,-1,""]]}~)
    . $location->('longer', 'access', qq~{"request_headers":[$::on_demand],"request_body":[["set_body","request",0,0,"before "]]}~)
--- client eval
sub {
    my $large = 'x' x 300_000;
    rows(map { my $path = $_; map { "$path " . got("/$path", $_) } 'hello', $large } qw(unseen seen changed empty longer));
}
--- client_out
unseen 200 length 5 body 5 hello
unseen 200 length 300000 body 300000 xxxxxxxxxxxxxxxxxxxx
seen 200 length 5 body 5 hello
seen 200 length 300000 body 300000 xxxxxxxxxxxxxxxxxxxx
changed 200 length 7 body 7 changed
changed 200 length 7 body 7 changed
empty 200 length 0 body 0 
empty 200 length 0 body 0 
longer 200 length 12 body 12 before hello
longer 200 length 300007 body 300007 before xxxxxxxxxxxxx
--- guests_like eval: qr/bytes/
--- guests
h: body request 0 4294967295: 5 bytes
h: body request 0 4294967295: 300000 bytes



=== TEST 2: a request without a body; one whose header waits for the body; an answer to the body
--- load
h hostcalls.wasm { header_stop = "iteration" }
--- config eval
qq~\@vars;
location /none { \@apisix access h '{"request_headers":[$::on_demand],"request_body":[["log_body_length","request",0,-1]]}'; proxy_pass http://up; }
location /waits {
    \@apisix access h '{"request_headers":[$::on_demand,["if_end_of_stream",[["log","info","no body"],["break"]]],["action","pause"]],
        "request_body_end":[["body_to_header","request","request","x-body"]]}';
    proxy_pass http://up;
}
location /answers {
    \@apisix access h '{"request_headers":[$::on_demand],"request_body":[["local_response",403,[["x-size",{"body_size":"request"}]],"no"]]}';
    proxy_pass http://up;
}
~
--- client eval
sub {
    my ($line) = answer('/waits', 'hello') =~ /^(x-body: .*)$/m;
    rows(answer('/none') =~ /^(\d+)/, answer('/waits') =~ /^(\d+)/, $line, answer('/answers', 'hello'));
}
--- client_out
200
200
x-body: hello
403 x-size: 5 no
--- guests_like eval: qr/bytes|no body/
--- guests
h: body request 0 4294967295: 0 bytes
h: no body



=== TEST 3: pieces of the request's body, some of them held
--- load
h hostcalls.wasm
--- config
location / {
    access_by_lua_block {
        local wasm = require("resty.proxy-wasm")
        local plugin = assert(wasm.load("p", "$TEST_NGINX_FILTERS/hostcalls.wasm"))
        local ctx = assert(wasm.on_configure(plugin, '{"request_body":[["log_body","request",0,100],["action","pause"]],"request_body_end":[["set_body","request",0,3,"A"],["action","continue"]]}'))
        assert(wasm.on_http_request_headers(ctx))
        ngx.req.read_body()
        assert(wasm.on_http_request_body(ctx, "one ", false))
        assert(wasm.on_http_request_body(ctx, "two ", false))
        assert(wasm.on_http_request_body(ctx, "three", true))
    }
    proxy_pass http://up;
}
--- client eval
sub { got('/', 'hello') }
--- client_out chomp
200 length 11 body 11 A two three
--- guests_like eval: qr/body request/
--- guests
p: body request 0 100 = one 
p: body request 0 100 = one two 
p: body request 0 100 = one two three



=== TEST 4: the response's body on demand: seen, changed, held back until its end
--- load
h hostcalls.wasm
--- config eval
my $text = 'proxy_pass http://up/;';
qq~\@vars;
location /unseen { \@apisix access h '{"response_body":[["set_body","response",0,-1,"changed"]]}'; $text }
location /seen { \@apisix access h '{"response_headers":[$::on_demand_response],"response_body_end":[["log","info","the end"]]}'; $text }
location /changed { \@apisix rewrite h '{"request_headers":[$::on_demand_response],"response_body":[["set_body","response",0,3,"GOT"]]}'; $text }
location /held { \@apisix access h '{"response_headers":[["set_header","response","x-h","1"],$::on_demand_response],
    "response_body":[["action","pause"]],"response_body_end":[["set_body","response",0,-1,"all of it"],["action","continue"]]}'; $text }
location /nothing { \@apisix access h '{"response_headers":[$::on_demand_response],"response_body":[["set_body","response",0,-1,""]]}'; $text }
~
--- client eval
sub { rows(map { "$_ " . (answer("/$_") =~ s/\n.*//sr) } qw(unseen seen changed held nothing)) }
--- client_out
unseen 200 GET / HTTP/1.0
seen 200 GET / HTTP/1.0
changed 200 GOT / HTTP/1.0
held 200 x-h: 1 all of it
nothing 200 
--- guests_like eval: qr/the end/
--- guests
h: the end



=== TEST 5: a response of the filter's own in place of the upstream's, and one behind its header
--- load
h hostcalls.wasm
--- config eval
qq~\@vars;
location /header { \@apisix access h '{"response_headers":[["local_response",418,[["x-own","yes"],["content-type","text/x"]],"own"]]}'; proxy_pass http://up; }
location /gzip { gzip on; gzip_types *; gzip_min_length 1; \@apisix access h '{"response_headers":[["local_response",418,[],"own"]]}'; proxy_pass http://up; }
location /body { \@apisix access h '{"response_headers":[$::on_demand_response],"response_body":[["local_response",418,[],"own"]]}'; proxy_pass http://up; }
~
--- client eval
sub {
    my $text = ask("GET /body HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    rows(answer('/header'), answer('/header', 'x' x 100_000), answer('/gzip'), $text =~ /own|0\r\n\r\n\z/ ? $text : 'cut off');
}
--- client_out
418 x-own: yes own
418 x-own: yes own
418 own
cut off
--- error_log
failed to run proxy_on_http_response_body



=== TEST 6: what Lua's code cannot wait with, and a length that has been sent
--- load
h hostcalls.wasm
--- config eval
qq~\@vars;
location /header { \@apisix access h '{"response_headers":[["http_call","a","up",[[":method","GET"],[":path","/"],[":authority","a"]],"",[],5000],["action","pause"]]}'; proxy_pass http://up; }
location /end { \@apisix access h '{"response_headers":[$::on_demand_response],"response_body":[["action","pause"]]}'; proxy_pass http://up; }
location /length {
    access_by_lua_block { require("apisix").request("h", '{"response_body":[["set_body","response",0,-1,"longer than it was, and that is by far too long for what has been promised to the client"]]}') }
    body_filter_by_lua_block {
        local apisix = require("apisix")
        ngx.var.wasm_process_resp_body = "yes"
        apisix.body_filter("h", '{"response_body":[["set_body","response",0,-1,"longer than it was, and that is by far too long for what has been promised to the client"]]}')
    }
    proxy_pass http://up;
}
~
--- client eval
sub {
    rows(map {
        my $text = ask("GET $_ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        join ' ', $_, $text =~ m{^HTTP/1.1 (\d+)}, $text =~ /\r\n\r\nGET .*\n\z/s || $text =~ /0\r\n\r\n\z/ ? 'complete' : 'cut off';
    } qw(/header /end /length));
}
--- client_out eval
qr{\A/header 200 complete\n/end (?:200 )?cut off\n/length (?:200 )?cut off\n\z}
--- error_log
[wasm] h: paused the response headers, which Lua's code cannot wait with
failed to run proxy_on_http_response_headers
[wasm] h: holds the end of the response's body, which Lua's code cannot wait with
[wasm] h: changed the length of the response's body, whose Content-Length has been sent
failed to run proxy_on_http_response_body
