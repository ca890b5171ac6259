"""nginx with one process, where it can serve: it becomes this process."""

import os
import sys
from pathlib import Path

CONFIG = """\
daemon off;
master_process off;
pid {state}/nginx.pid;
error_log stderr error;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_max_body_size 0;
    keepalive_timeout 75;
    keepalive_requests 1000000000;
    default_type application/octet-stream;
    client_body_temp_path {state};
    proxy_temp_path {state};
    fastcgi_temp_path {state};
    uwsgi_temp_path {state};
    scgi_temp_path {state};
    server {{
        listen 127.0.0.1:{port} backlog=2048;
        location / {{ return 501; }}
        location = /plain {{ default_type text/plain; return 200 "Hello, World!"; }}
        location = /file/small {{ alias {files}/small.bin; }}
        location = /file/large {{ alias {files}/large.bin; }}
    }}
}}
"""

if __name__ == "__main__":
    files = Path(os.environ["BENCH_FILES"])
    state = files / "nginx"
    state.mkdir(exist_ok=True)
    config = state / "nginx.conf"
    config.write_text(CONFIG.format(state=state, port=sys.argv[1], files=files))
    os.execvp("nginx", ["nginx", "-p", str(state), "-c", str(config), "-e", "stderr"])
