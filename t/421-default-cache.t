# The directory of compiled code that nginx has without being told.

use Test::Nginx::Socket 'no_plan';
use Control;

our $filters = $ENV{TEST_NGINX_FILTERS};
our $directory = "$main::root/wasm_cache";

# How many modules nginx has found, and how many it has compiled, since it was started.
sub compiled {
    my %counts = main::get('/metrics') =~ /^nginx_wasm_compile_cache_(hits|misses)_total (\d+)$/mg;
    return "$counts{hits} found, $counts{misses} compiled";
}

sub restart { return main::quit() && main::start() }
sub notices { return map { s/.*\[(?:notice|warn|error|emerg)\] \d+#\d+: //r } main::matches(qr/.*compiled code is not kept.*/) }

our $http = "wasm_module m $main::filters/headers.wasm;";
our $config = 'location /t { wasm_filter m \'{}\'; return 204; } location /metrics { wasm_metrics; }';

no_long_string();
run_tests();

__DATA__

=== TEST 1: it is beside nginx's other temporary files, and the next start finds what is in it
--- workers: 2
--- http_config eval: $::http
--- config eval: $::config
--- init
Test::More::is(main::compiled(), '0 found, 1 compiled', 'the first start');
Test::More::ok(-d "$main::root/proxy_temp", 'another one of nginx');
Test::More::is((stat $main::directory)[2] & 07777, 0700, 'the mode');
my @files = glob "$main::directory/*";
Test::More::is(scalar @files, 1, 'one file');
my @before = stat $files[0];
main::restart();
Test::More::is(main::compiled(), '1 found, 0 compiled', 'the second start');
my @after = stat $files[0];
Test::More::is("@after[1, 2, 4, 5, 7]", "@before[1, 2, 4, 5, 7]", 'the same file');
Test::More::is($after[4], $>, 'of who has started nginx, not of the workers');
main::get('/t') for 1 .. 10;
Test::More::is_deeply([glob "$main::directory/*"], \@files, 'no worker writes there');
--- request
GET /t
--- error_code: 204
--- no_error_log
is not kept
[warn]
[error]
[alert]
[emerg]



=== TEST 2: off
--- workers: 1
--- http_config eval: "wasm_cache off; $::http"
--- config eval: $::config
--- init
main::restart();
Test::More::is(main::compiled(), '0 found, 1 compiled', 'compiled again');
Test::More::ok(!-e $main::directory, 'there is no directory');
--- request
GET /t
--- error_code: 204
--- no_error_log
is not kept
[warn]
[error]
[alert]
[emerg]



=== TEST 3: another one
--- workers: 1
--- http_config eval: "wasm_cache other_cache; $::http"
--- config eval: $::config
--- init
Test::More::ok(!-e $main::directory, 'not in the default one');
Test::More::is(scalar(my @files = glob "$main::root/other_cache/*"), 1, 'but there');
--- request
GET /t
--- error_code: 204



=== TEST 4: without a module there is none
--- config
    location /t { return 204; }
--- init
Test::More::ok(!-e $main::directory, 'no directory');
--- request
GET /t
--- error_code: 204



=== TEST 5: what cannot be had, or trusted, is left alone, and nginx starts
--- workers: 1
--- http_config eval: $::http
--- config eval: $::config
--- init
my $told = 0;
for my $case (
    ['a file', qr/"\S+" is not a directory/, sub { open my $out, '>', $main::directory or die }],
    ['open to others', qr/the directory "\S+" can be written by others than its owner, but .*/, sub { mkdir $main::directory or die; chmod 0777, $main::directory or die }],
    ['a link to nothing', qr/cannot open the directory "\S+": No such file or directory \(os error 2\)/, sub { symlink 'nothing', $main::directory or die }],
    ['a link to what nobody may write', qr/cannot write to the directory "\S+": .*/, sub { symlink '/proc/self/task', $main::directory or die }],
) {
    my ($name, $reason, $make) = @$case;
    main::quit();
    system("rm -rf $main::directory") == 0 or die;
    $make->();
    main::start();
    Test::More::is(main::compiled(), '0 found, 1 compiled', "$name: compiled");
    my @notices = main::notices();
    Test::More::is(scalar @notices, ++$told, "$name: one line");
    Test::More::like($notices[-1], qr/\A\[wasm\] compiled code is not kept: $reason\z/, "$name: the line");
    unlink $main::directory;
}
--- request
GET /t
--- error_code: 204
--- no_error_log
[warn]
[error]
[alert]
[emerg]



=== TEST 6: who tests the configuration may not write there
--- workers: 1
--- http_config eval: $::http
--- config eval: $::config
--- init
SKIP: {
    Test::More::skip('only root can be another user', 3) if $> != 0;
    my $user = 61235;
    my $home = "$main::html/home";
    mkdir $home or die;
    chown $user, -1, $home or die;
    system("setpriv --reuid $user --regid $user --clear-groups test -r $main::filters/headers.wasm -a -r $ENV{TEST_NGINX_WASM_MODULE} -a -x $ENV{TEST_NGINX_BINARY} -a -x $home");
    Test::More::skip('another user cannot read the files of this build', 3) if $?;
    open my $out, '>', "$home/t.conf" or die;
    print $out "load_module $ENV{TEST_NGINX_WASM_MODULE};\nerror_log stderr notice;\npid $home/t.pid;\nevents {}\nhttp {\n$main::http\naccess_log off;\nserver { location / { wasm_filter m '{}'; } }\n"
        . join('', map { "${_}_temp_path $home/$_;\n" } qw(client_body proxy fastcgi uwsgi scgi)) . "}\n";
    close $out;
    my $test = sub { return `setpriv --reuid $user --regid $user --clear-groups $ENV{TEST_NGINX_BINARY} -t -p $main::root/ -e stderr -c $home/t.conf 2>&1` };
    my $said = $test->();
    Test::More::like($said, qr/\[notice\] .*\[wasm\] compiled code is not kept: cannot (?:open|write to) the directory "\Q$main::directory\E": Permission denied \(os error 13\)$/m, 'told');
    Test::More::like($said, qr/ test is successful$/m, 'successful');
    main::quit();
    system("rm -r $main::directory") == 0 or die;
    Test::More::like($test->(), qr/\[notice\] .*\[wasm\] compiled code is not kept: cannot make the directory "\Q$main::directory\E": Permission denied \(os error 13\)$/m, 'it is not there');
    main::start();
}
--- request
GET /t
--- error_code: 204
