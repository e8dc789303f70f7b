/**
 * Runs the command on addresses of a service.
 */
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, assert, beforeAll } from "vitest"
import { FaultyS3 } from "../../ops/test/faultyS3.ts"
import type { S3Endpoint } from "../../ops/test/s3Endpoint.ts"
import { commandLine, runBeside, watched } from "./command.ts"

/** Gives the tests of a file a service with an empty bucket, and a folder. */
export const useCloud = (tell: (cloud: { readonly s3: FaultyS3; readonly place: string }) => void): void => {
  const place = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-clouds-"))
  let s3: FaultyS3 | undefined
  beforeAll(async () => {
    s3 = await FaultyS3.start()
    s3.buckets.set("bucket", new Map())
    tell({ s3, place })
  })
  afterAll(async () => {
    await s3?.stop()
    fs.rmSync(place, { recursive: true, force: true })
  })
}

/** A service that the command can reach. */
interface Cloud {
  readonly service: S3Endpoint
}

/** What the command is started with in a folder, to reach a service. */
const startedFor = ({ service }: Cloud, place: string, args: ReadonlyArray<string>) => ({
  args: ["--db", path.join(place, "jobs.db"), ...args],
  folder: place,
  env: {
    ...process.env,
    AWS_ENDPOINT_URL: service.endpoint,
    AWS_ACCESS_KEY_ID: service.accessKeyId,
    AWS_SECRET_ACCESS_KEY: service.secretAccessKey,
    AWS_REGION: "us-east-1"
  }
})

/** Starts the command in a process, which may be killed. */
export const start = (cloud: Cloud, place: string, ...given: ReadonlyArray<string>) => {
  const { args, env, folder } = startedFor(cloud, place, given)
  return watched(childProcess.spawn(...commandLine(args), { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] }))
}

/** Runs the command to its end. */
export const runOn = async (cloud: Cloud, place: string, ...args: ReadonlyArray<string>) => {
  const { status: code, ...output } = await runBeside(startedFor(cloud, place, args))
  return { code, ...output }
}

/** Ends of a job that is done, and of one that is given up since its processes have died so often. */
const ends = [0, 3]

/** Runs a command that is killed at a request, counted from 0, and tells whether its job is done. */
export const killedAt = async (s3: FaultyS3, place: string, nth: number, ...args: ReadonlyArray<string>) => {
  const { child, ended } = start(s3, place, ...args)
  let [isKilled, requests] = [false, 0]
  s3.plan = () => {
    if (requests++ !== nth) return undefined
    isKilled = child.kill("SIGKILL")
    return undefined
  }
  const { code, stderr } = await ended
  s3.calm()
  if (!isKilled) assert.include(ends, code, stderr)
  return code === 0
}
