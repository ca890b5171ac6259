# Varnish 7 in front of two replicas:
#
#   sanicish shop:app -p 8001 --ready-path --drain-delay 2 --keep-alive 75 --proxies-count 1
#   sanicish shop:app -p 8002 --ready-path --drain-delay 2 --keep-alive 75 --proxies-count 1
#   varnishd -F -n "$PWD/varnish" -a :8000 -f "$PWD/deploy/varnish.vcl"
#
# Varnish takes all of a response whose client does not read, so a stream without end may fill its memory, and it does not
# notice that a client has left as long as the response is silent: events need a short ping, sse(source, ping=5).

vcl 4.1;

import directors;

probe ready {
    .url = "/ready";
    .interval = 500ms;
    .timeout = 2s;
    .window = 1;
    .threshold = 1;
    .initial = 1;
}

# The timeouts are longer than the replica's RESPONSE_TIMEOUT (60 s), so that its 503 arrives. Idle connections are closed
# after backend_idle_timeout (60 s), before the replica does (--keep-alive 75).
backend one {
    .host = "127.0.0.1";
    .port = "8001";
    .connect_timeout = 2s;
    .first_byte_timeout = 75s;
    .between_bytes_timeout = 75s;
    .probe = ready;
}

backend two {
    .host = "127.0.0.1";
    .port = "8002";
    .connect_timeout = 2s;
    .first_byte_timeout = 75s;
    .between_bytes_timeout = 75s;
    .probe = ready;
}

sub vcl_init {
    new replicas = directors.round_robin();
    replicas.add_backend(one);
    replicas.add_backend(two);
}

sub vcl_recv {
    set req.backend_hint = replicas.backend();
    # What a client writes into these is removed; Varnish itself has added the client to X-Forwarded-For.
    unset req.http.Forwarded;
    unset req.http.X-Forwarded-Host;
    unset req.http.X-Forwarded-Port;
    unset req.http.X-Forwarded-Path;
    unset req.http.X-Real-IP;
    unset req.http.X-Scheme;
    set req.http.X-Forwarded-Proto = "http";
    # Trailers do not get through Varnish: the response loses its last chunk.
    unset req.http.TE;
}

sub vcl_backend_response {
    # By default Varnish keeps what says nothing of caching for two minutes, and gives one stream to all who ask for it.
    if (!beresp.http.Cache-Control && !beresp.http.Expires) {
        set beresp.uncacheable = true;
    }
}
