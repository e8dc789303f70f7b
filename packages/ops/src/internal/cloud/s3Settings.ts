/**
 * Where a bucket is and how it is asked, by the variables and files that AWS's own tools read.
 */
import type { S3Options } from "../../clouds.ts"
import { loadSharedConfigFiles } from "./awsLibraries.ts"
import type { Endpoint } from "./httpTransport.ts"

/** What is set by a program. All that is not set is looked for in the environment and in the profile. */
export type Given = Pick<S3Options, "endpoint" | "region" | "profile" | "addressing" | "checksums">

export interface Settings {
  readonly endpoint: Endpoint
  /** What stands before the bucket in a path, encoded, without a slash at its end. */
  readonly basePath: string
  readonly region: string
  readonly profile: string
  /** Whether the bucket is the first label of the host, and not of the path. */
  readonly isVirtual: boolean
  /** Whether the endpoint is AWS's own. */
  readonly isAws: boolean
  /** Whether checksums are sent, and asked for. */
  readonly checksums: boolean
  /** File with certificates of authorities. */
  readonly authorities: string | undefined
}

/** The configuration contradicts itself, or has a value that is none. */
export class SettingsError extends Error {}

type Profile = Readonly<Record<string, string | undefined>>

/** Names of hosts have neither dots within a certificate's wildcard, nor capitals, nor underscores. */
const fitsHost = (bucket: string): boolean => /^[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])$/.test(bucket)

const awsHost = (region: string): string => `https://s3.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`

const endpointOf = (text: string): { readonly endpoint: Endpoint; readonly basePath: string } => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const protocol = url?.protocol
  // All else in a URL, such as a password, is obeyed by nobody.
  if (
    url === undefined || (protocol !== "http:" && protocol !== "https:") ||
    `${url.username}${url.password}${url.search}${url.hash}` !== ""
  ) {
    throw new SettingsError("the endpoint is no URL of the form https://host:port")
  }
  return {
    endpoint: {
      protocol,
      hostname: url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: url.port === "" ? undefined : Number(url.port)
    },
    basePath: url.pathname.replace(/\/$/, "")
  }
}

/** An empty variable counts as none, as it does for AWS's tools. */
const firstOf = (...texts: ReadonlyArray<string | undefined>): string | undefined =>
  texts.find((text) => text !== undefined && text !== "")

export const findSettings = async (given: Given, bucket: string): Promise<Settings> => {
  const { env } = process
  const files = await loadSharedConfigFiles({ ignoreCache: true })
  const profileName = firstOf(given.profile, env["AWS_PROFILE"])
  const name = profileName ?? "default"
  const found = files.configFile[name]
  if (profileName !== undefined && found === undefined && files.credentialsFile[name] === undefined) {
    throw new SettingsError(`there is no profile "${name}" in the configuration of AWS. Add it, or set AWS_PROFILE`)
  }
  const profile: Profile = { ...files.credentialsFile[name], ...found }
  const services: Profile = files.configFile[`services.${profile["services"] ?? ""}`] ?? {}
  const isIgnored = /^true$/i.test(
    firstOf(env["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"], profile["ignore_configured_endpoint_urls"]) ?? ""
  )
  const configured = isIgnored ? undefined : firstOf(
    env["AWS_ENDPOINT_URL_S3"],
    env["AWS_ENDPOINT_URL"],
    services["s3.endpoint_url"],
    profile["endpoint_url"]
  )
  const own = firstOf(given.endpoint, configured)
  const region = firstOf(given.region, env["AWS_REGION"], env["AWS_DEFAULT_REGION"], profile["region"]) ?? "us-east-1"
  const { basePath, endpoint } = endpointOf(own ?? awsHost(region))
  const isAws = /(?:^|\.)amazonaws\.com(?:\.cn)?$/.test(endpoint.hostname)
  const addressing = given.addressing ?? profile["s3.addressing_style"] ?? "auto"
  const isVirtual = addressing === "virtual" || (addressing !== "path" && isAws && fitsHost(bucket))
  const asked = firstOf(env["AWS_REQUEST_CHECKSUM_CALCULATION"], profile["request_checksum_calculation"])
  return {
    endpoint: isVirtual ? { ...endpoint, hostname: `${bucket}.${endpoint.hostname}` } : endpoint,
    basePath: isVirtual ? basePath : `${basePath}/${encodeURIComponent(bucket)}`,
    region,
    profile: name,
    isVirtual,
    isAws,
    checksums: given.checksums ?? (asked === undefined ? isAws : asked.toLowerCase() === "when_supported"),
    authorities: firstOf(env["AWS_CA_BUNDLE"], profile["ca_bundle"])
  }
}
