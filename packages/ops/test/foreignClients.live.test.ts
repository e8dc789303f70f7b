import { assert, describe, it } from "@effect/vitest"
import { execFile, spawnSync } from "node:child_process"
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
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-foreign-"))
  fs.mkdirSync(path.join(folder, "source/a b"), { recursive: true })
  fs.writeFileSync(path.join(folder, "source/a b/file &+'.txt"), "content")
  fs.writeFileSync(path.join(folder, "source/large"), Buffer.alloc(20_000_000, 7))
  fs.writeFileSync(path.join(folder, "source/empty"), "")
})
afterAll(async () => {
  await s3.stop()
  fs.rmSync(folder, { recursive: true })
})

/** Certificates of this machine are of no use here, and rclone refuses them. */
const { AWS_CA_BUNDLE: _, ...environment } = process.env

const isMissing = (name: string): boolean => spawnSync(name, ["--version"]).error !== undefined

const run = async (name: string, ...args: ReadonlyArray<string>) => {
  const { accessKeyId, endpoint, secretAccessKey } = s3.service
  const { stdout } = await promisify(execFile)(name, args, {
    cwd: folder,
    env: {
      ...environment,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_DEFAULT_REGION: "us-east-1",
      AWS_ENDPOINT_URL: endpoint,
      RCLONE_CONFIG: "",
      RCLONE_S3_PROVIDER: "Other",
      RCLONE_S3_ENV_AUTH: "true",
      RCLONE_S3_ENDPOINT: endpoint,
      RCLONE_S3_REGION: "us-east-1"
    }
  })
  return stdout
}

const filesIn = (name: string): ReadonlyArray<readonly [string, string]> =>
  fs.globSync("**", { cwd: path.join(folder, name), withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .toSorted((a, b) => a < b ? -1 : 1)
    .map((file) => [path.relative(path.join(folder, name), file), fs.readFileSync(file).toString("latin1")] as const)

/** The service that tests are made with is what others take for S3, too. */
describe("the faulty service", () => {
  it.skipIf(isMissing("rclone"))("is taken for S3 by rclone", async () => {
    await run("rclone", "mkdir", ":s3:rclone")
    await run("rclone", "copy", "--s3-upload-cutoff", "10M", "source", ":s3:rclone/prefix")
    await run("rclone", "check", "source", ":s3:rclone/prefix")
    await run("rclone", "copy", ":s3:rclone/prefix", "fromRclone")
    assert.deepStrictEqual(filesIn("fromRclone"), filesIn("source"))
    assert.strictEqual(s3.uploads.size, 0)
    await run("rclone", "purge", ":s3:rclone/prefix")
    assert.strictEqual(s3.buckets.get("rclone")?.size, 0)
  })

  it.skipIf(isMissing("aws"))("is taken for S3 by aws", async () => {
    await run("aws", "s3", "mb", "s3://aws")
    await run("aws", "s3", "cp", "--recursive", "source", "s3://aws/prefix")
    await run("aws", "s3", "cp", "--recursive", "s3://aws/prefix", "fromAws")
    assert.deepStrictEqual(filesIn("fromAws"), filesIn("source"))
    await run("aws", "s3", "rm", "--recursive", "s3://aws/prefix")
    assert.strictEqual(s3.buckets.get("aws")?.size, 0)
  })
})
