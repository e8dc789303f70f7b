/**
 * Credentials by all the ways that AWS's own tools have: variables, files, single sign-on, programs, and the services
 * of machines and containers.
 */
import type { StoreReason } from "../../ObjectStore.ts"
import { defaultProvider, fromEnv, loadSharedConfigFiles } from "./awsLibraries.ts"

export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

export interface CredentialSource {
  /** Kept until they expire. */
  readonly find: () => Promise<Credentials>
  /** Has the next call look again: a person may have logged in meanwhile. */
  readonly forget: () => void
}

export const fixedCredentials = (credentials: Credentials): CredentialSource => ({
  find: () => Promise.resolve(sendable(credentials)),
  forget: () => undefined
})

const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {} }

/** Credentials could not be found. */
class NotFound extends Error {
  readonly reason: StoreReason

  constructor(reason: StoreReason) {
    super()
    this.reason = reason
  }
}

/** Header lines end at some characters, and Node refuses others. */
const sendable = (credentials: Credentials): Credentials => {
  const { accessKeyId, sessionToken = "" } = credentials
  if (/^[\x21-\x7e]*$/.test(`${accessKeyId}${sessionToken}`)) return credentials
  throw new NotFound({ _tag: "CredentialsRefused", code: "InvalidCharacter" })
}

/** What was looked at, and what to do: by names alone. All else may be secret, as what a program prints. */
const whyNone = async (given: string | undefined): Promise<string> => {
  const { env } = process
  const name = given ?? (env["AWS_PROFILE"] || "default")
  const { configFile, credentialsFile } = await loadSharedConfigFiles({ ignoreCache: true })
  const profile = { ...configFile[name], ...credentialsFile[name] }
  if (profile["sso_session"] !== undefined || profile["sso_start_url"] !== undefined) {
    return `the profile "${name}" has no valid login. Run: aws sso login --profile ${name}`
  }
  if (profile["credential_process"] !== undefined) {
    return `credential_process of the profile "${name}" has failed, or gives what has expired. Run that program to see`
  }
  if (profile["role_arn"] !== undefined) {
    return `the role of the profile "${name}" could not be taken. Check its role_arn and source_profile`
  }
  const variables = given === undefined ? "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set, and " : ""
  const files = `${env["AWS_SHARED_CREDENTIALS_FILE"] || "~/.aws/credentials"} and ${
    env["AWS_CONFIG_FILE"] || "~/.aws/config"
  }`
  return `${variables}the profile "${name}" has no keys in ${files}. Set these, or AWS_PROFILE, or run: aws configure`
}

/** Keys in variables come before the profile, unless that is given by a program. */
export const foundCredentials = (profile: string | undefined): CredentialSource => {
  const fromVariables = fromEnv({ logger: silent })
  const hasVariables = () =>
    profile === undefined && ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].every((name) => Boolean(process.env[name]))
  const make = () => defaultProvider({ ignoreCache: true, logger: silent, ...profile === undefined ? {} : { profile } })
  let provider = make()
  return {
    find: async () => {
      try {
        return sendable(await (hasVariables() ? fromVariables() : provider()))
      } catch (error) {
        if (error instanceof NotFound) throw error
        throw new NotFound(
          error instanceof Error && /expired/i.test(error.message)
            ? { _tag: "CredentialsExpired", code: "Expired" }
            : { _tag: "CredentialsMissing", detail: await whyNone(profile) }
        )
      }
    },
    forget: () => {
      provider = make()
    }
  }
}

export const credentialReason = (error: unknown): StoreReason =>
  error instanceof NotFound ? error.reason : { _tag: "CredentialsMissing", detail: "they could not be read" }
