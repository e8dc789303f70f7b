import * as fs from "node:fs"
import { foreignStore } from "./foreignStore.ts"

/** A gateway of Ceph, with one monitor and one store of objects in memory. It checks signatures. */
export const ceph = foreignStore({
  name: "Ceph",
  programs: ["ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin"],
  keys: { accessKeyId: "fanout", secretAccessKey: "a+secret/with=odd characters" },
  ports: 1,
  files: ({ folder, port, ports: [monitor] }) => {
    const id = crypto.randomUUID()
    return {
      id,
      "ceph.conf": `
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
    }
  },
  script: `
    id="$(cat id)"
    mkdir mon osd rgw
    ceph-authtool --create-keyring keyring --gen-key -n mon. --cap mon 'allow *'
    ceph-authtool keyring --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    ceph-authtool keyring --gen-key -n client.rgw --cap mon 'allow rw' --cap osd 'allow rwx'
    monmaptool --create --fsid "$id" --addv a "[v2:127.0.0.1:$4]" monmap
    ceph-mon -c ceph.conf --mkfs -i a --monmap monmap --keyring keyring
    ceph-mon -c ceph.conf -i a
    ceph -c ceph.conf --connect-timeout 30 osd new "$id"
    ceph-osd -c ceph.conf -i 0 --mkfs --mkkey --no-mon-config --osd-uuid "$id"
    ceph -c ceph.conf auth add osd.0 osd 'allow *' mon 'allow rwx' -i osd/keyring
    ceph -c ceph.conf osd crush add-bucket localhost host
    ceph -c ceph.conf osd crush move localhost root=default
    ceph -c ceph.conf osd crush add osd.0 1.0 host=localhost
    ceph-osd -c ceph.conf -i 0
    radosgw -c ceph.conf -n client.rgw
    radosgw-admin -c ceph.conf user create --uid=fanout --display-name=fanout --access-key="$2" --secret-key="$3" \\
      --max-buckets=0
  `
})
