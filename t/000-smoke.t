# The module loads, and nginx serves with it.

use Test::Nginx::Socket 'no_plan';

run_tests();

__DATA__

=== TEST 1: nginx serves with the module loaded
--- config
    location /t {
        return 200 "served\n";
    }
--- request
GET /t
--- response_body
served
--- no_error_log
[error]
[emerg]
