import { once } from "node:events"
import * as fs from "node:fs"
import { createServer } from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { startWatched } from "../../../test/watchedServer.ts"
import type { S3Endpoint } from "./s3Endpoint.ts"

const programs = ["ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin"]
const folders = (process.env["PATH"] ?? "").split(path.delimiter)

const isInstalled = programs.every((name) => folders.some((folder) => fs.existsSync(path.join(folder, name))))

/** Whether tests with a real service are skipped here. */
export const isCephMissing = !isInstalled && process.env["FANOUT_CEPH"] !== "required"

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (typeof address !== "object" || address === null) throw new Error("there is no free port")
  return address.port
}

const configuration = (folder: string, id: string, monitor: number, port: number): string => `
[global]
fsid = ${id}
mon host = v2:127.0.0.1:${monitor}
keyring = ${folder}/keyring
auth allow insecure global id reclaim = true
run dir = ${folder}
log file = ${folder}/$name.log
admin socket = ${folder}/$name.asok
pid file = ${folder}/$name.pid
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
mon allow pool size one = true
osd crush chooseleaf type = 0
ms bind ipv6 = false
[mon.a]
mon data = ${folder}/mon
public addr = 127.0.0.1
[osd.0]
osd class dir = ${fs.globSync("/usr/lib/*/rados-classes")[0] ?? ""}
keyring = ${folder}/osd/keyring
osd data = ${folder}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
public addr = 127.0.0.1
cluster addr = 127.0.0.1
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:${port} tcp_nodelay=1
rgw data = ${folder}/rgw
rgw enable apis = s3
rgw gc obj min wait = 1
rgw gc processor period = 3
rgw gc processor max time = 3
`

// One monitor, one store of objects in memory, and the gateway. Ends with the process that has started it, however that
// ends: its standard input is closed then.
const script = `
  trap '' INT TERM HUP
  cd "$1"
  start() {
    set -e
    mkdir mon osd rgw
    ceph-authtool --create-keyring keyring --gen-key -n mon. --cap mon 'allow *'
    ceph-authtool keyring --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    ceph-authtool keyring --gen-key -n client.rgw --cap mon 'allow rw' --cap osd 'allow rwx'
    monmaptool --create --fsid "$2" --addv a "[v2:127.0.0.1:$3]" monmap
    ceph-mon -c ceph.conf --mkfs -i a --monmap monmap --keyring keyring
    ceph-mon -c ceph.conf -i a
    ceph -c ceph.conf --connect-timeout 30 osd new "$2"
    ceph-osd -c ceph.conf -i 0 --mkfs --mkkey --no-mon-config --osd-uuid "$2"
    ceph -c ceph.conf auth add osd.0 osd 'allow *' mon 'allow rwx' -i osd/keyring
    ceph -c ceph.conf osd crush add-bucket localhost host
    ceph -c ceph.conf osd crush move localhost root=default
    ceph -c ceph.conf osd crush add osd.0 1.0 host=localhost
    ceph-osd -c ceph.conf -i 0
    radosgw -c ceph.conf -n client.rgw
    radosgw-admin -c ceph.conf user create --uid=fanout --display-name=fanout --access-key="$4" --secret-key="$5" \\
      --max-buckets=0
  }
  if (start "$@") >script.log 2>&1; then echo started; else cat script.log; echo failed; fi
  cat >/dev/null
  for file in *.pid; do kill -9 "$(cat "$file")"; done 2>/dev/null
  rm -rf "$1"
`

/** A gateway of Ceph in a temporary folder, with everything that it needs. It checks signatures. */
export class CephServer {
  readonly service: S3Endpoint
  private readonly stopping: () => Promise<unknown>

  private constructor(service: S3Endpoint, stop: () => Promise<unknown>) {
    this.service = service
    this.stopping = stop
  }

  static async start(): Promise<CephServer> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-ceph-"))
    const id = crypto.randomUUID()
    const [monitor, port] = [await freePort(), await freePort()]
    const service = {
      endpoint: `http://127.0.0.1:${port}`,
      accessKeyId: "fanout",
      secretAccessKey: "a+secret/with=odd characters"
    }
    fs.writeFileSync(path.join(folder, "ceph.conf"), configuration(folder, id, monitor, port))
    const args = [folder, id, String(monitor), service.accessKeyId, service.secretAccessKey]
    return new CephServer(service, await startWatched(script, args))
  }

  async stop(): Promise<void> {
    await this.stopping()
  }
}
