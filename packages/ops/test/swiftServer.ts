import { foreignStore } from "./foreignStore.ts"

const servers = ["object", "container", "account"] as const

const configuration = (server: typeof servers[number], folder: string, port: number | undefined): string => `
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
devices = ${folder}/devices
mount_check = false
swift_dir = ${folder}
user = root
workers = 0
log_level = WARNING
fallocate_reserve = 0
[pipeline:main]
pipeline = ${server}-server
[app:${server}-server]
use = egg:swift#${server}
[${server}-replicator]
[${server}-updater]
[${server}-auditor]
`

const proxy = (folder: string, port: number, cache: number | undefined, user: string): string => `
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
swift_dir = ${folder}
user = root
workers = 0
log_level = WARNING
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats bulk s3api tempauth copy slo dlo versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:${cache}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
[filter:tempauth]
use = egg:swift#tempauth
user_${user.replace(":", "_")} = secret .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
minimum_segment_size = 1
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
`

const accessKeyId = "fanout:user"

/** OpenStack Swift with its middleware for S3, and one replica. It checks signatures. */
export const swift = foreignStore({
  name: "Swift",
  programs: [
    "memcached",
    "swift-ring-builder",
    "swift-proxy-server",
    ...servers.map((server) => `swift-${server}-server`)
  ],
  isForLongRuns: true,
  differences: ["conditions refused", "parts kept"],
  keys: { accessKeyId, secretAccessKey: "secret" },
  ports: servers.length + 1,
  files: ({ folder, port, ports: [cache, ...ports] }) => ({
    "swift.conf": `
[swift-hash]
swift_hash_path_prefix = a
swift_hash_path_suffix = b
[storage-policy:0]
name = gold
default = yes
`,
    ...Object.fromEntries(
      servers.map((server, index) => [`${server}-server.conf`, configuration(server, folder, ports[index])])
    ),
    "proxy-server.conf": proxy(folder, port, cache, accessKeyId)
  }),
  // To balance the ring of one device ends with a warning.
  script: `
    mkdir -p devices/one
    ring() {
      swift-ring-builder "$1.builder" create 4 1 1
      swift-ring-builder "$1.builder" add "r1z1-127.0.0.1:$2/one" 1
      swift-ring-builder "$1.builder" rebalance || true
      swift-$1-server "$PWD/$1-server.conf" >"$1.log" 2>&1 &
      echo $! >"$1.pid"
    }
    memcached -u root -l 127.0.0.1 -p "$4" >memcached.log 2>&1 &
    echo $! >memcached.pid
    ring object "$5" &
    ring container "$6" &
    ring account "$7" &
    wait_for_rings() { for ring in object container account; do until [ -e "$ring.pid" ]; do sleep 0.1; done; done; }
    wait_for_rings
    swift-proxy-server "$PWD/proxy-server.conf" >proxy.log 2>&1 &
    echo $! >proxy.pid
  `
})
