import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { promisify } from "node:util"
import { afterAll, beforeAll } from "vitest"
import { FaultyS3 } from "./faultyS3.ts"

let s3: FaultyS3
let folder: string

beforeAll(async () => {
  s3 = await FaultyS3.start()
  s3.buckets.set("bucket", new Map())
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-clouds-"))
})
afterAll(async () => {
  await s3.stop()
  fs.rmSync(folder, { recursive: true })
})

const program = `
import * as Clouds from "@fanout/ops/clouds"
import * as Effect from "effect/Effect"
import { Module } from "node:module"
const libraries = () => Object.keys(Module._cache).filter((file) => /@(?:aws-sdk|smithy)/.test(file)).length
const before = libraries()
const put = Effect.flatMap(Clouds.ObjectStores, ({ at }) =>
  Effect.flatMap(at({ scheme: "s3", bucket: "bucket" }), (store) => store.put("key", Buffer.from("content"))))
const { etag } = await Effect.runPromise(Effect.provide(put, Clouds.layer()))
console.log(JSON.stringify({ before, isLoaded: libraries() > 0, etag }))
`

describe("clouds", () => {
  it("load what they need for the first address, and find their configuration as AWS's tools do", async () => {
    fs.writeFileSync(
      path.join(folder, "config"),
      `[profile mine]\nendpoint_url = ${s3.service.endpoint}\ncredential_process = cat ${path.join(folder, "keys")}\n`
    )
    const { accessKeyId, secretAccessKey } = s3.service
    const keys = { Version: 1, AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey }
    fs.writeFileSync(path.join(folder, "keys"), JSON.stringify(keys))
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--conditions=@fanout/source", "--input-type=module", "-e", program],
      {
        cwd: import.meta.dirname,
        env: { ...process.env, AWS_PROFILE: "mine", AWS_CONFIG_FILE: path.join(folder, "config") }
      }
    )
    assert.deepStrictEqual(JSON.parse(stdout), {
      before: 0,
      isLoaded: true,
      etag: "9a0364b9e99bb480dd25e1f0284c8555"
    })
  })
})
