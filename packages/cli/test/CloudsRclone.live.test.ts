import { assert, describe, it } from "@effect/vitest"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, beforeAll } from "vitest"
import { ceph } from "../../ops/test/cephServer.ts"
import type { RunningStore } from "../../ops/test/foreignStore.ts"
import { commandLine, watched } from "./command.ts"

const isMissing = ceph.isMissing || childProcess.spawnSync("rclone", ["version"]).error !== undefined

let store: RunningStore | undefined
let place: string

beforeAll(async () => {
  if (isMissing) return
  store = await ceph.start()
  place = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-rclone-"))
  await rclone("mkdir", "ceph:bucket")
})
afterAll(async () => {
  await store?.stop()
  if (store !== undefined) fs.rmSync(place, { recursive: true, force: true })
})

/** Certificates of this machine are of no use here, and rclone refuses them. */
const { AWS_CA_BUNDLE: _, ...environment } = process.env

const start = ([file, args]: readonly [string, ReadonlyArray<string>]) => {
  const { accessKeyId, endpoint, secretAccessKey } = store?.service ?? assert.fail("Ceph was not started")
  return watched(childProcess.spawn(file, args, {
    cwd: place,
    env: {
      ...environment,
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_REGION: "us-east-1",
      RCLONE_CONFIG: "",
      RCLONE_CONFIG_CEPH_TYPE: "s3",
      RCLONE_CONFIG_CEPH_PROVIDER: "Ceph",
      RCLONE_CONFIG_CEPH_ENDPOINT: endpoint,
      RCLONE_CONFIG_CEPH_ACCESS_KEY_ID: accessKeyId,
      RCLONE_CONFIG_CEPH_SECRET_ACCESS_KEY: secretAccessKey
    },
    stdio: ["ignore", "pipe", "pipe"]
  })).ended
}

const fanout = (...args: ReadonlyArray<string>) => start(commandLine(["--db", path.join(place, "jobs.db"), ...args]))
const rclone = (...args: ReadonlyArray<string>) => start(["rclone", args])

const sizes = [0, 1, 1000, 2 ** 20 - 1, 2 ** 20 + 1, 2 ** 23, 2 ** 23 + 1, 2 ** 24, 2 ** 24 + 1, 20_000_000]

/** A tree with files of sizes around those at which something changes, which have times and modes of their own. */
const plant = (name: string): string => {
  const tree = path.join(place, name)
  fs.mkdirSync(path.join(tree, "a/b c/ü"), { recursive: true })
  sizes.forEach((size, index) => {
    const file = path.join(tree, index % 2 === 0 ? "a/b c/ü" : "a", `of ${size} &+'.bin`)
    fs.writeFileSync(file, Buffer.alloc(size, `content ${index}\n`), { mode: index % 3 === 0 ? 0o600 : 0o640 })
    fs.utimesSync(file, 1_700_000_000, 1_700_000_000.25 + index)
  })
  return tree
}

/** Changes the last byte, and neither size nor time. */
const flip = (file: string): void => {
  const { mtime, size } = fs.statSync(file)
  const descriptor = fs.openSync(file, "r+")
  fs.writeSync(descriptor, Buffer.from([0xff]), 0, 1, size - 1)
  fs.closeSync(descriptor)
  fs.utimesSync(file, mtime, mtime)
}

describe.skipIf(isMissing)("clouds, with rclone", () => {
  it("verify finds nothing in what rclone has uploaded, and all that is changed in it", async () => {
    const tree = plant("uploaded")
    const up = await rclone("copy", "--metadata", "--s3-upload-cutoff", "10M", tree, "ceph:bucket/uploaded")
    assert.strictEqual(up.code, 0, up.stderr)

    const same = await fanout("verify", tree, "s3://bucket/uploaded")
    assert.strictEqual(same.code, 0, same.stdout + same.stderr)
    // Those of more than 10 MiB were uploaded in parts, and have no checksum of the whole at Ceph.
    assert.match(same.stderr, /10 same.*7 by checksum, 3 by reading/)

    for (const size of sizes.slice(1)) {
      flip(path.join(tree, sizes.indexOf(size) % 2 === 0 ? "a/b c/ü" : "a", `of ${size} &+'.bin`))
    }
    fs.rmSync(path.join(tree, "a/b c/ü/of 0 &+'.bin"))
    fs.writeFileSync(path.join(tree, "new"), "")
    const other = await fanout("verify", tree, "s3://bucket/uploaded")

    assert.strictEqual(other.code, 1)
    const lines = other.stdout.trim().split("\n")
    const statuses = lines.map((line) => line.split(" ")[0])
    assert.deepStrictEqual(new Set(statuses), new Set(["different", "extra", "missing"]))
    assert.strictEqual(statuses.length, sizes.length + 1)
    assert.include(other.stdout, "missing     new: a file in A, nothing in B")
  })

  it("check finds nothing in what fanout has uploaded, nor does verify in what rclone brings back", async () => {
    const tree = plant("copied")
    const up = await fanout("copy", "--verify", tree, "s3://bucket/copied")
    assert.strictEqual(up.code, 0, up.stderr)
    assert.match(up.stderr + up.stdout, /10 verified, 10 by checksum/)

    const checked = await rclone("check", "--download", tree, "ceph:bucket/copied")
    const back = await rclone("copy", "--metadata", "ceph:bucket/copied", path.join(place, "back"))
    const same = await fanout("verify", "--ignore", "owner", "s3://bucket/copied", path.join(place, "back"))
    const down = await fanout("copy", "--verify", "s3://bucket/copied", path.join(place, "down"))
    const both = await fanout("verify", path.join(place, "down"), "back", "--ignore", "owner")

    for (const { code, stderr, stdout } of [checked, back, same, down]) assert.strictEqual(code, 0, stdout + stderr)
    assert.match(down.stderr + down.stdout, /10 verified, 5 by checksum/)
    // Times of folders are nobody's.
    assert.notMatch(both.stdout, /^(missing|extra|different)/m)
  })
})
