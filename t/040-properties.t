# Properties: the attributes of request, response, connection and upstream, nginx's variables, and
# what filters set.

use Test::Nginx::Socket 'no_plan';

# A guest's message without what nginx adds.
our $message = qr/\[wasm\] \K\w+: .*?(?=(?: while [\w ]+)?, client:|$)/;

# Operations that log properties: text, or a number where the name begins with +, or a map with %.
sub show {
    return CORE::join ',', map {
        my ($kind, $path) = /\A([+%]?)(.*)\z/;
        '["get_property' . ({'+' => '_u64', '%' => '_map'}->{$kind} // '') . qq{","$path"]};
    } @_;
}

our $certificate = sub {
    my ($name, $subject) = @_;
    my $conf = server_root() . '/conf';
    system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj '$subject'"
        . " -keyout $conf/$name.key -out $conf/$name.crt >/dev/null 2>&1") == 0 or die 'openssl';
};

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(no_error_log => "[error]\n[alert]\n[emerg]\n[crit]") unless defined $block->no_error_log;
});

log_level('info');
no_long_string();
run_tests();

__DATA__

=== TEST 1: request.*
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    ignore_invalid_headers off;
--- config eval
my $show = main::show(qw(request.path request.url_path request.query request.host request.scheme request.method
    request.referer request.useragent request.id request.protocol request.headers.x-a request.headers.X-A
    request.headers.x-none request.headers.:method +request.size %request.headers));
qq{location /t {
    wasm_filter m '{"request_headers":[$show,["get_property",["request","headers","x.y"]]]}';
    return 204;
}}
--- raw_request eval
"GET /t/%61%20b?x=%31&y HTTP/1.1\r
Host: Example.COM:99\r
Connection: close\r
Referer: http://r/\r
User-Agent: agent/1\r
X-Request-ID: id-1\r
X-A: 1\r
X-A: 2\r
x.y: dot\r
\r
"
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out
m: property request.path = /t/%61%20b?x=%31&y
m: property request.url_path = /t/%61%20b
m: property request.query = x=%31&y
m: property request.host = Example.COM:99
m: property request.scheme = http
m: property request.method = GET
m: property request.referer = http://r/
m: property request.useragent = agent/1
m: property request.id = id-1
m: property request.protocol = HTTP/1.1
m: property request.headers.x-a = 1
m: property request.headers.X-A = 1
m: property request.headers.x-none: status 1
m: property request.headers.:method = GET
m: property request.size = 0
m: property request.headers has 11 pairs
m: property request.headers :authority=Example.COM:99
m: property request.headers :path=/t/%61%20b?x=%31&y
m: property request.headers :method=GET
m: property request.headers :scheme=http
m: property request.headers connection=close
m: property request.headers referer=http://r/
m: property request.headers user-agent=agent/1
m: property request.headers x-request-id=id-1
m: property request.headers x-a=1
m: property request.headers x-a=2
m: property request.headers x.y=dot
m: property request.headers.x.y = dot


=== TEST 2: request.* of a request that has little
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config eval
my $show = main::show(qw(request.query request.host request.referer request.useragent request.protocol));
qq{location /t { wasm_filter m '{"request_headers":[$show]}'; return 204; }}
--- raw_request eval
"GET /t HTTP/1.0\r\n\r\n"
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out
m: property request.query = 
m: property request.host: status 1
m: property request.referer: status 1
m: property request.useragent: status 1
m: property request.protocol = HTTP/1.0


=== TEST 3: sizes and times of a request
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config eval
my $show = main::show(qw(+request.size +request.total_size nginx.request_length +request.time +request.duration));
qq{location /t { wasm_filter m '{"log":[$show]}'; return 204; }}
--- request
POST /t
0123456789
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out eval
qr/\Am: property request\.size = 10
m: property request\.total_size = (\d+)
m: property nginx\.request_length = \1
m: property request\.time = (\d{10})\d{3}000000
(??{ CORE::abs($2 - CORE::time()) < 60 ? '' : '(?!)' })m: property request\.duration = \d{1,10}
\z/


=== TEST 4: response.* of a response from upstream
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    server {
        listen $TEST_NGINX_PORT_1;
        location / {
            add_header X-Up 1;
            add_header Set-Cookie a;
            add_header Set-Cookie b;
            add_header Grpc-Status 5;
            return 201 "hello";
        }
    }
--- config eval
my $early = main::show(qw(response.code response.headers response.headers.x-up response.flags response.backend_latency +response.size));
my $show = main::show(qw(+response.code response.code_details +response.flags response.headers.X-Up
    response.headers.set-cookie response.headers.x-none response.headers.:status %response.trailers
    +response.grpc_status +response.backend_latency));
my $late = main::show(qw(+response.code +response.size nginx.body_bytes_sent +response.total_size nginx.bytes_sent));
qq{location /t {
    wasm_filter m '{"request_headers":[$early],"response_headers":[$show],"log":[$late]}';
    proxy_pass http://127.0.0.1:$ENV{TEST_NGINX_PORT_1};
}}
--- request
GET /t
--- error_code: 201
--- response_body: hello
--- grep_error_log eval: $::message
--- grep_error_log_out eval
qr/\Am: property response\.code: status 1
m: property response\.headers: status 1
m: property response\.headers\.x-up: status 1
m: property response\.flags: status 1
m: property response\.backend_latency: status 1
m: property response\.size = 0
m: property response\.code = 201
m: property response\.code_details = via_upstream
m: property response\.flags = 0
m: property response\.headers\.X-Up = 1
m: property response\.headers\.set-cookie = a
m: property response\.headers\.x-none: status 1
m: property response\.headers\.:status = 201
m: property response\.trailers has 0 pairs
m: property response\.grpc_status = 5
m: property response\.backend_latency = \d{1,10}
m: property response\.code = 201
m: property response\.size = 5
m: property nginx\.body_bytes_sent = 5
m: property response\.total_size = (\d+)
m: property nginx\.bytes_sent = \1
\z/


=== TEST 5: response.* of nginx's own response
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config eval
my $show = main::show(qw(+response.code response.code_details response.grpc_status response.backend_latency %response.headers));
qq{location /t {
    wasm_filter m '{"response_headers":[$show]}';
    return 200 "hello";
}}
--- request
GET /t
--- response_body: hello
--- grep_error_log eval: $::message
--- grep_error_log_out eval
qr/\Am: property response\.code = 200
m: property response\.code_details = direct_response
m: property response\.grpc_status: status 1
m: property response\.backend_latency: status 1
m: property response\.headers has 6 pairs
m: property response\.headers :status=200
m: property response\.headers server=nginx.*
m: property response\.headers date=.*GMT
m: property response\.headers content-type=text\/plain
m: property response\.headers content-length=5
m: property response\.headers connection=close
\z/


=== TEST 6: source.*, destination.*, connection.*
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config eval
my $show = main::show(qw(nginx.remote_addr nginx.remote_port source.address +source.port
    nginx.server_addr nginx.server_port destination.address +destination.port nginx.connection +connection.id
    connection.requested_server_name connection.tls_version connection.subject_peer_certificate connection.mtls));
qq{location /t { wasm_filter m '{"request_headers":[$show]}'; return 204; }}
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out eval
qr/\Am: property nginx\.remote_addr = 127\.0\.0\.1
m: property nginx\.remote_port = (\d+)
m: property source\.address = 127\.0\.0\.1:\1
m: property source\.port = \1
m: property nginx\.server_addr = 127\.0\.0\.1
m: property nginx\.server_port = $ENV{TEST_NGINX_SERVER_PORT}
m: property destination\.address = 127\.0\.0\.1:$ENV{TEST_NGINX_SERVER_PORT}
m: property destination\.port = $ENV{TEST_NGINX_SERVER_PORT}
m: property nginx\.connection = (\d+)
m: property connection\.id = \2
m: property connection\.requested_server_name: status 1
m: property connection\.tls_version: status 1
m: property connection\.subject_peer_certificate: status 1
m: property connection\.mtls = \\x00
\z/


=== TEST 7: the client's address by nginx's realip module
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Real-IP;
    location /t {
        wasm_filter m '{"request_headers":[["get_property","source.address"],["get_property_u64","source.port"],["get_property","nginx.remote_addr"]]}';
        return 204;
    }
--- more_headers
X-Real-IP: 10.1.2.3:456
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out
m: property source.address = 10.1.2.3:456
m: property source.port = 456
m: property nginx.remote_addr = 10.1.2.3


=== TEST 8: TLS: the connection's names, version and certificate
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    server {
        listen $TEST_NGINX_PORT_1 ssl;
        ssl_certificate server.crt;
        ssl_certificate_key server.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_client_certificate client.crt;
        ssl_verify_client on;
        location / {
            wasm_filter m '{"request_headers":[["get_property","request.scheme"],["get_property","connection.requested_server_name"],
                ["get_property","connection.tls_version"],["get_property","connection.subject_peer_certificate"],
                ["get_property","connection.mtls"],["log_header","request",":scheme"]]}';
            return 200 "secret";
        }
    }
--- config
    location /t {
        proxy_pass https://127.0.0.1:$TEST_NGINX_PORT_1;
        proxy_ssl_server_name on;
        proxy_ssl_name sni.example;
        proxy_ssl_protocols TLSv1.3;
        proxy_ssl_certificate client.crt;
        proxy_ssl_certificate_key client.key;
    }
--- post_setup_server_root
$::certificate->('server', '/CN=sni.example');
$::certificate->('client', '/O=Org/CN=client one');
--- request
GET /t
--- response_body: secret
--- grep_error_log eval: $::message
--- grep_error_log_out
m: property request.scheme = https
m: property connection.requested_server_name = sni.example
m: property connection.tls_version = TLSv1.3
m: property connection.subject_peer_certificate = CN=client one,O=Org
m: property connection.mtls = \x01
m: request :scheme=https


=== TEST 9: upstream.*: of the server that answered
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    upstream two {
        server 127.0.0.1:$TEST_NGINX_PORT_2;
        server 127.0.0.1:$TEST_NGINX_PORT_1 backup;
    }
    server {
        listen $TEST_NGINX_PORT_1;
        location / { return 200 "hello"; }
    }
    server {
        listen $TEST_NGINX_PORT_2;
        location / { return 503; }
    }
--- config eval
my $show = main::show(qw(upstream.address +upstream.port));
qq{location /t {
    wasm_filter m '{"request_headers":[$show],"response_headers":[$show],"log":[$show]}';
    proxy_pass http://two;
    proxy_next_upstream http_503;
}}
--- request
GET /t
--- response_body: hello
--- grep_error_log eval: $::message
--- grep_error_log_out
m: property upstream.address: status 1
m: property upstream.port: status 1
m: property upstream.address = 127.0.0.1:$TEST_NGINX_PORT_1
m: property upstream.port = $TEST_NGINX_PORT_1
m: property upstream.address = 127.0.0.1:$TEST_NGINX_PORT_1
m: property upstream.port = $TEST_NGINX_PORT_1
--- no_error_log
[alert]
[crit]


=== TEST 10: upstream.* of a Unix socket
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    server {
        listen unix:$TEST_NGINX_SERVER_ROOT/html/up.sock;
        location / { wasm_filter m '{"request_headers":[["get_property","source.address"],["get_property_u64","source.port"]]}'; return 200 "hello"; }
    }
--- config eval
my $show = main::show(qw(upstream.address upstream.port));
qq{location /t {
    wasm_filter m '{"response_headers":[$show]}';
    proxy_pass http://unix:\$TEST_NGINX_SERVER_ROOT/html/up.sock;
}}
--- request
GET /t
--- response_body: hello
--- grep_error_log eval: $::message
--- grep_error_log_out
m: property source.address = unix:
m: property source.port = 0
m: property upstream.address = unix:$TEST_NGINX_SERVER_ROOT/html/up.sock
m: property upstream.port: status 1


=== TEST 11: the plugin's properties, in every context; plugin_root_id is Ok and empty
--- http_config
    wasm_module some_name $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config eval
my $show = main::show(qw(plugin_name plugin_root_id plugin_vm_id));
qq{location /t {
    wasm_filter some_name '{"root_create":[$show],"vm_start":[$show],"configure":[$show],"context_create":[$show],"log":[$show]}';
    return 204;
}}
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out eval
CORE::join '', ("some_name: property plugin_name = some_name\nsome_name: property plugin_root_id = \nsome_name: property plugin_vm_id = \n") x 5


=== TEST 12: what there is not is NotFound
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config eval
my $show = main::show('', qw(nonsense request request.nonsense response response.nonsense source source.nonsense destination
    connection connection.nonsense upstream nginx nginx.nonsense nginx.arg_none nginx.http_none nginx.cookie_none
    nginx.upstream_addr plugin_nonsense request.path.more));
qq{location /t { wasm_filter m '{"request_headers":[$show],"configure":[["get_property","request.path"],["get_property","nginx.pid"]]}'; return 204; }}
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out eval
CORE::join '', map { "m: property $_: status 1\n" } 'request.path', 'nginx.pid', '', qw(nonsense request request.nonsense response
    response.nonsense source source.nonsense destination connection connection.nonsense upstream nginx nginx.nonsense
    nginx.arg_none nginx.http_none nginx.cookie_none nginx.upstream_addr plugin_nonsense request.path.more)


=== TEST 13: nginx's variables: built-in ones, of set, map and geo, and those with a prefix
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    map $arg_x $mapped { default none; 1 one; }
    geo $geo { default far; 127.0.0.0/8 near; }
    server {
        listen $TEST_NGINX_PORT_1;
        location / { add_header X-Up up; return 200 "hello"; }
    }
--- config eval
my $show = main::show(qw(nginx.uri nginx.request_uri nginx.args nginx.request nginx.request_method nginx.host nginx.scheme
    nginx.server_name nginx.remote_user nginx.status nginx.from_set nginx.mapped nginx.geo nginx.arg_x nginx.ARG_X
    nginx.http_x_a nginx.cookie_c nginx.document_root nginx.empty));
my $late = main::show(qw(nginx.status nginx.upstream_http_x_up nginx.upstream_status nginx.upstream_addr nginx.sent_http_x_up));
qq{set \$from_set "set here"; set \$empty "";
location /t {
    root /some/where;
    wasm_filter m '{"request_headers":[$show],"log":[$late]}';
    proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1;
}}
--- more_headers
X-A: header
Cookie: c=biscuit
Authorization: Basic dXNlcjpwYXNz
--- request
GET /t?x=1
--- response_body: hello
--- grep_error_log eval: $::message
--- grep_error_log_out
m: property nginx.uri = /t
m: property nginx.request_uri = /t?x=1
m: property nginx.args = x=1
m: property nginx.request = GET /t?x=1 HTTP/1.1
m: property nginx.request_method = GET
m: property nginx.host = localhost
m: property nginx.scheme = http
m: property nginx.server_name = localhost
m: property nginx.remote_user = user
m: property nginx.status = 000
m: property nginx.from_set = set here
m: property nginx.mapped = one
m: property nginx.geo = near
m: property nginx.arg_x = 1
m: property nginx.ARG_X = 1
m: property nginx.http_x_a = header
m: property nginx.cookie_c = biscuit
m: property nginx.document_root = /some/where
m: property nginx.empty = 
m: property nginx.status = 200
m: property nginx.upstream_http_x_up = up
m: property nginx.upstream_status = 200
m: property nginx.upstream_addr = 127.0.0.1:$TEST_NGINX_PORT_1
m: property nginx.sent_http_x_up = up


=== TEST 14: writing a variable of set: for the upstream, the response, maps and the log
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    map $v $mapped { default none; "by filter" yes; }
    log_format own '$v|$late';
    server {
        listen $TEST_NGINX_PORT_1;
        location / { return 200 "$http_x_v"; }
    }
--- config
    set $v "by nginx";
    set $late "by nginx";
    location /t {
        access_log logs/access.log own;
        wasm_filter m '{"request_headers":[["get_property","nginx.v"],["set_property","nginx.v","by filter"],["get_property","nginx.v"],["get_property","nginx.mapped"]],
            "response_headers":[["set_property","nginx.late","later"]]}';
        proxy_set_header X-V "$v";
        add_header X-V "$v" always;
        add_header X-Mapped "$mapped";
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- request
GET /t
--- response_headers
X-V: by filter
X-Mapped: yes
--- response_body: by filter
--- access_log
by filter|later
--- grep_error_log eval: $::message
--- grep_error_log_out
m: property nginx.v = by nginx
m: property nginx.v = by filter
m: property nginx.mapped = yes


=== TEST 15: a variable that the location sets: the rewrite phase overwrites, the access phase comes later
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /a {
        wasm_filter m '{"request_headers":[["set_property","nginx.v","by filter"]]}';
        set $v "by nginx";
        add_header X-V $v;
        try_files /index.html =404;
    }
    location /b {
        wasm_filter_phase access;
        wasm_filter m '{"request_headers":[["set_property","nginx.v","by filter"]]}';
        set $v "by nginx";
        add_header X-V $v;
        try_files /index.html =404;
    }
--- pipelined_requests eval
["GET /a", "GET /b"]
--- response_headers eval
["X-V: by nginx", "X-V: by filter"]


=== TEST 16: writing a variable with a handler of its own: $args reaches the upstream
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    server {
        listen $TEST_NGINX_PORT_1;
        location / { return 200 "$request_uri"; }
    }
--- config
    location /t {
        wasm_filter m '{"request_headers":[["set_property","nginx.args","x=2"],["get_property","nginx.arg_x"],["get_property","request.query"]]}';
        proxy_pass http://127.0.0.1:$TEST_NGINX_PORT_1;
    }
--- request
GET /t?x=1
--- response_body: /t?x=2
--- grep_error_log eval: $::message
--- grep_error_log_out
m: property nginx.arg_x = 2
m: property request.query = x=2


=== TEST 17: what cannot be written: read-only variables, unknown ones, no name
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"request_headers":[["set_property","nginx.remote_addr","x"],["set_property","nginx.host","x"],
            ["set_property","nginx.nonsense","x"],["set_property","nginx.http_x_a","x"],["get_property","nginx.remote_addr"],["get_property","nginx.http_x_a"]],
            "configure":[["set_property","nginx.v","x"]]}';
        return 204;
    }
    set $v 1;
--- more_headers
X-A: 1
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out eval
qr/\Am: set_property nginx\.v: status [12]
m: set_property nginx\.remote_addr: status 2
m: set_property nginx\.host: status 2
m: set_property nginx\.nonsense: status 1
m: set_property nginx\.http_x_a: status 1
m: property nginx\.remote_addr = 127\.0\.0\.1
m: property nginx\.http_x_a = 1
\z/


=== TEST 18: what a filter sets, the later ones of the chain and the later callbacks read; the next request does not
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config
    location /t {
        wasm_filter m '{"request_headers":[["get_property","my.own"],["set_property","my.own","one"],["set_property","empty",""],["set_property",["binary"],{"hex":"00ff0a"}]],
            "response_headers":[["get_property","my.own"]], "log":[["get_property","my.own"],["get_property","empty"]]}';
        wasm_filter m '{"request_headers":[["get_property","my.own"],["get_property","binary"],["get_property","empty"],["get_property","my"],["get_property",["my.own"]],["set_property","my.own","two"]]}';
        return 204;
    }
--- request eval
["GET /t", "GET /t"]
--- error_code eval
[204, 204]
--- grep_error_log eval: $::message
--- grep_error_log_out
m: property my.own: status 1
m: property my.own = one
m: property binary = \x00\xff\x0a
m: property empty = 
m: property my: status 1
m: property my.own = one
m: property my.own = two
m: property my.own = two
m: property empty = 


=== TEST 19: in every callback of a request
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config eval
my $early = main::show(qw(request.path nginx.uri));
my $late = main::show(qw(request.path nginx.uri +response.code));
qq{location /t {
    wasm_filter m '{"trace":true,"context_create":[$early],"request_headers":[$early],"request_body":[$early],"response_headers":[$late],
        "response_body":[$late],"done":[$late],"log":[$late],"delete":[$late]}';
    return 200 "hello";
}}
--- request
POST /t
x
--- response_body: hello
--- grep_error_log eval: qr/(?:on_(?!vm_start|configure)\w+ id=(?!1)\d|property [\w.]+ ?[=:] \S+)(?=.*, client)/
--- grep_error_log_out eval
my $early = "property request.path = /t\nproperty nginx.uri = /t\n";
my $late = $early . "property response.code = 200\n";
CORE::join '', (map { "on_$_ id=2\n$early" } qw(context_create request_headers request_body)),
    (map { "on_$_ id=2\n$late" } qw(response_headers response_body done log delete))


=== TEST 20: properties follow what filters change in the request
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
--- config eval
my $show = main::show(qw(request.path request.url_path request.query request.method request.host request.headers.x-a nginx.http_x_a nginx.uri nginx.args));
qq{location /t {
    wasm_filter m '{"request_headers":[["set_header","request",":path","/new?q"],["set_header","request",":method","PUT"],["set_header","request",":authority","Other:1"],
        ["set_header","request","x-a","2"],$show]}';
    wasm_filter m '{"request_headers":[$show]}';
    return 204;
}}
--- more_headers
X-A: 1
--- request
GET /t?p
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out eval
CORE::join '', ("m: property request.path = /new?q
m: property request.url_path = /new
m: property request.query = q
m: property request.method = PUT
m: property request.host = Other:1
m: property request.headers.x-a = 2
m: property nginx.http_x_a = 2
m: property nginx.uri = /new
m: property nginx.args = q
") x 2


=== TEST 21: HTTP/2
--- http_config
    wasm_module m $TEST_NGINX_FILTERS/hostcalls.wasm;
    server {
        listen $TEST_NGINX_PORT_1;
        http2 on;
        location / {
            wasm_filter m '{"request_headers":[["get_property","request.protocol"],["get_property","request.host"],["get_property","request.path"],["get_property_u64","request.size"]]}';
            return 200 "served";
        }
    }
--- config
    location /t { return 204; }
--- init
my $got = `curl -s -m 120 --http2-prior-knowledge -H 'Host: Example.com:8' -d 12345 http://127.0.0.1:$ENV{TEST_NGINX_PORT_1}/a?b`;
Test::More::is($got, 'served', 'the response');
--- request
GET /t
--- error_code: 204
--- grep_error_log eval: $::message
--- grep_error_log_out
m: property request.protocol = HTTP/2
m: property request.host = Example.com:8
m: property request.path = /a?b
m: property request.size = 5
