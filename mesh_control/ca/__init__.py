# SPDX-License-Identifier: Apache-2.0
"""The certificate authority as a service: who may have which certificate.

caller    who is calling: a verified client certificate, or a join token
tokens    join tokens: made, and checked
spent     which tokens were used, and by which key: a token is good for one host
service   istio.v1.auth.IstioCertificateService/CreateCertificate
serving   the control plane's own certificate, renewed while it serves

The signing itself is `mesh_core.pki.Authority`.
"""
