import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { credentialReason, foundCredentials } from "../src/internal/cloud/s3Credentials.ts"
import { findSettings, type Given } from "../src/internal/cloud/s3Settings.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-aws-"))
const files = { AWS_CONFIG_FILE: path.join(folder, "config"), AWS_SHARED_CREDENTIALS_FILE: path.join(folder, "keys") }
const names = Object.keys(process.env).filter((name) => name.startsWith("AWS_"))
const before = Object.fromEntries(names.map((name) => [name, process.env[name]]))

const clear = (): void => {
  for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) delete process.env[name]
}

beforeAll(() => {
  fs.writeFileSync(
    files.AWS_CONFIG_FILE,
    `[default]
region = eu-central-1

[profile own]
region = own-1
endpoint_url = https://own.example:8443/base/
s3 =
  addressing_style = virtual
request_checksum_calculation = when_supported

[profile authorities]
ca_bundle = /etc/own.pem

[profile services]
services = mine
endpoint_url = https://all.example

[services mine]
s3 =
  endpoint_url = https://s3.example

[profile program]
credential_process = "${process.execPath}" -e "console.log(process.env.TEST_KEYS)"

[profile login]
sso_session = work
sso_account_id = 1
sso_role_name = reader

[sso-session work]
sso_start_url = https://work.example
sso_region = us-east-1

[profile old]
sso_start_url = https://old.example
sso_region = us-east-1
sso_account_id = 1
sso_role_name = reader

[profile role]
role_arn = arn:aws:iam::1:role/reader
source_profile = missing

[profile failing]
credential_process = "${process.execPath}" -e "process.stderr.write('hidden'); process.exit(1)" hidden
`
  )
  fs.writeFileSync(files.AWS_SHARED_CREDENTIALS_FILE, "[own]\naws_access_key_id = id\naws_secret_access_key = secret\n")
})
afterAll(() => {
  clear()
  Object.assign(process.env, before)
  fs.rmSync(folder, { recursive: true })
})

const within = async <A>(variables: Readonly<Record<string, string>>, body: () => Promise<A>): Promise<A> => {
  clear()
  Object.assign(process.env, files, variables)
  try {
    return await body()
  } finally {
    clear()
  }
}
const settings = (variables: Readonly<Record<string, string>>, given: Given = {}, bucket = "bucket") =>
  within(variables, () => findSettings(given, bucket))

describe("settings of S3", () => {
  it("are those of AWS where nothing is set, with the bucket in the name of the host", async () => {
    const { authorities, basePath, checksums, endpoint, isAws, region } = await settings({})
    assert.deepStrictEqual(endpoint, {
      protocol: "https:",
      hostname: "bucket.s3.eu-central-1.amazonaws.com",
      port: undefined
    })
    assert.deepStrictEqual([basePath, region, isAws, checksums, authorities], [
      "",
      "eu-central-1",
      true,
      true,
      undefined
    ])
  })

  it.each(["with.dots", "With-Capitals", "under_score"])("have the bucket %s in the path", async (bucket) => {
    const { basePath, endpoint } = await settings({}, {}, bucket)
    assert.deepStrictEqual([endpoint.hostname, basePath], ["s3.eu-central-1.amazonaws.com", `/${bucket}`])
  })

  it("take variables before the profile, and options before variables", async () => {
    assert.strictEqual((await settings({ AWS_REGION: "a-1", AWS_DEFAULT_REGION: "b-1" })).region, "a-1")
    assert.strictEqual((await settings({ AWS_REGION: "", AWS_DEFAULT_REGION: "b-1" })).region, "b-1")
    assert.strictEqual((await settings({ AWS_REGION: "a-1" }, { region: "c-1" })).region, "c-1")
    const both = { AWS_ENDPOINT_URL: "http://all:1", AWS_ENDPOINT_URL_S3: "http://s3:2" }
    assert.strictEqual((await settings(both)).endpoint.hostname, "s3")
    assert.strictEqual((await settings(both, { endpoint: "http://[::1]:3" })).endpoint.hostname, "::1")
  })

  it("are those of a profile", async () => {
    const { basePath, checksums, endpoint, isAws, profile, region } = await settings({ AWS_PROFILE: "own" })
    assert.deepStrictEqual(endpoint, { protocol: "https:", hostname: "bucket.own.example", port: 8443 })
    assert.deepStrictEqual([basePath, region, isAws, checksums, profile], ["/base", "own-1", false, true, "own"])
    assert.strictEqual((await settings({}, { profile: "services" })).endpoint.hostname, "s3.example")
    const ignoring = { AWS_PROFILE: "own", AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "true" }
    assert.strictEqual((await settings(ignoring)).endpoint.hostname, "bucket.s3.own-1.amazonaws.com")
  })

  it("have authorities of a file, if it has a name", async () => {
    assert.strictEqual((await settings({ AWS_PROFILE: "authorities" })).authorities, "/etc/own.pem")
    assert.strictEqual((await settings({ AWS_PROFILE: "authorities", AWS_CA_BUNDLE: "" })).authorities, "/etc/own.pem")
    assert.strictEqual((await settings({ AWS_PROFILE: "authorities", AWS_CA_BUNDLE: "/a.pem" })).authorities, "/a.pem")
    assert.isUndefined((await settings({ AWS_CA_BUNDLE: "" })).authorities)
  })

  it("have no checksums elsewhere, unless they are asked for", async () => {
    const elsewhere = { AWS_ENDPOINT_URL: "http://here" }
    assert.isFalse((await settings(elsewhere)).checksums)
    assert.isTrue((await settings({ ...elsewhere, AWS_REQUEST_CHECKSUM_CALCULATION: "WHEN_SUPPORTED" })).checksums)
    assert.isFalse((await settings({ AWS_REQUEST_CHECKSUM_CALCULATION: "when_required" })).checksums)
  })

  it.each([
    "nonsense",
    "ftp://host",
    "http://id:secret@host",
    "http://:secret@host",
    "http://host?x=1",
    "http://host#x"
  ])(
    "refuse the endpoint %s",
    async (url) => {
      const error = await settings({ AWS_ENDPOINT_URL: url }).catch((error: unknown) => error)
      assert.match(String(error), /the endpoint is no URL/)
      assert.notInclude(String(error), "secret")
    }
  )

  it("refuse a profile that there is not", async () => {
    const error = await settings({ AWS_PROFILE: "none" }).catch((error: unknown) => error)
    assert.match(String(error), /there is no profile "none"/)
  })
})

describe("credentials of S3", () => {
  const find = (variables: Readonly<Record<string, string>>, profile?: string) =>
    within(variables, () => foundCredentials(profile).find())

  it("are found in variables, files, and by a program", async () => {
    const variables = { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b", AWS_SESSION_TOKEN: "c" }
    assert.deepInclude(await find(variables), { accessKeyId: "a", secretAccessKey: "b", sessionToken: "c" })
    assert.deepInclude(await find({ AWS_PROFILE: "own" }), { accessKeyId: "id", secretAccessKey: "secret" })
    assert.deepInclude(await find({ ...variables, AWS_PROFILE: "own" }), { accessKeyId: "a", sessionToken: "c" })
    assert.deepInclude(await find(variables, "own"), { accessKeyId: "id", secretAccessKey: "secret" })
    process.env["TEST_KEYS"] = JSON.stringify({ Version: 1, AccessKeyId: "p", SecretAccessKey: "q" })
    assert.deepInclude(await find({}, "program"), { accessKeyId: "p", secretAccessKey: "q" })
  })

  it("are looked for again once they are forgotten", async () => {
    await within({ AWS_PROFILE: "own" }, async () => {
      const source = foundCredentials(undefined)
      await source.find()
      fs.writeFileSync(files.AWS_SHARED_CREDENTIALS_FILE, "[own]\naws_access_key_id = new\naws_secret_access_key = s\n")
      assert.strictEqual((await source.find()).accessKeyId, "id")
      source.forget()
      assert.strictEqual((await source.find()).accessKeyId, "new")
    })
  })

  const variables = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set"
  const configure = "Set these, or AWS_PROFILE, or run: aws configure"

  it.each<readonly [variables: Readonly<Record<string, string>>, profile: string | undefined, detail: string]>([
    [
      { AWS_ACCESS_KEY_ID: "hidden" },
      undefined,
      `${variables}, and the profile "default" has no keys in KEYS and CONFIG. ${configure}`
    ],
    [{}, "services", `the profile "services" has no keys in KEYS and CONFIG. ${configure}`],
    [{ AWS_PROFILE: "login" }, undefined, `the profile "login" has no valid login. Run: aws sso login --profile login`],
    [
      {},
      "failing",
      `credential_process of the profile "failing" has failed, or gives what has expired. Run that program to see`
    ],
    [{}, "role", `the role of the profile "role" could not be taken. Check its role_arn and source_profile`]
  ])("say what was looked at, and nothing of what a program says (%o, %s)", async (variables, profile, detail) => {
    const error = await find({ AWS_EC2_METADATA_DISABLED: "true", HOME: folder, ...variables }, profile)
      .catch((error: unknown) => error)
    const reason = credentialReason(error)
    assert.deepStrictEqual(reason, {
      _tag: "CredentialsMissing",
      detail: detail.replace("KEYS", files.AWS_SHARED_CREDENTIALS_FILE).replace("CONFIG", files.AWS_CONFIG_FILE)
    })
    assert.notInclude(String(error) + JSON.stringify(error), "hidden")
  })

  it.each(["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"])(
    "are not sent where no header can have them (%s)",
    async (name) => {
      const keys = { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b", [name]: "one\nhidden" }
      const error = await find(keys).catch((error: unknown) => error)
      assert.deepStrictEqual(credentialReason(error), { _tag: "CredentialsRefused", code: "InvalidCharacter" })
      assert.notInclude(String(error) + JSON.stringify(error), "hidden")
    }
  )

  it("tell that a login has expired", async () => {
    const cache = path.join(folder, ".aws/sso/cache")
    fs.mkdirSync(cache, { recursive: true })
    const token = { accessToken: "hidden", expiresAt: "2020-01-01T00:00:00Z" }
    fs.writeFileSync(
      path.join(cache, `${createHash("sha1").update("https://old.example").digest("hex")}.json`),
      JSON.stringify(token)
    )
    const error = await find({ AWS_PROFILE: "old", HOME: folder }).catch((error: unknown) => error)
    assert.deepStrictEqual(credentialReason(error), { _tag: "CredentialsExpired", code: "Expired" })
  })
})
